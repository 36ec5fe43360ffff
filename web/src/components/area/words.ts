import { addWords } from '@/i18n';

addWords(
  'areaChoice',
  {
    title: '选择区域',
    path: '所在层级',
    city: '全市',
    choose: '选定“{name}”',
    inside: '查看“{name}”的下级区域',
    none: '没有下级区域了',
  },
  {
    title: 'Choose an area',
    path: 'Where you are',
    city: 'The whole city',
    choose: 'Choose {name}',
    inside: 'Areas below {name}',
    none: 'No areas below this one',
  },
);
