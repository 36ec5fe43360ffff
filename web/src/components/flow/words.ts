// Words of the lineage graph, wherever it is shown.
import { addWords } from '@/i18n';

addWords(
  'flow',
  {
    hint: '选中一个字段，看它流向哪里。',
    asTable: '以表格列出',
    from: '来自',
    to: '去向',
    by: '方式',
  },
  {
    hint: 'Choose a field to see where it goes.',
    asTable: 'As a table',
    from: 'From',
    to: 'To',
    by: 'How',
  },
);
