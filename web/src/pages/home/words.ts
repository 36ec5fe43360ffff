import { addWords } from '@/i18n';

addWords(
  'home',
  {
    boards: '选择看板',
    greeting: '{name}，您好',
    refreshed: '{ago}更新',
    late: '更新失败，显示的是{ago}的数据',
    refresh: '刷新',
    screen: '大屏',
    none: '没有为您的角色准备的看板',
    noneHint: '可从左侧导航进入其他页面；需要看板请联系数据管家。',
    home: '首页看板',
  },
  {
    boards: 'Choose a board',
    greeting: 'Hello, {name}',
    refreshed: 'Updated {ago}',
    late: 'Update failed; these are the figures of {ago}',
    refresh: 'Refresh',
    screen: 'Big screen',
    none: 'There is no board for your role',
    noneHint: 'Go on from the navigation; ask your data steward if you need a board.',
    home: 'Your home board',
  },
);
