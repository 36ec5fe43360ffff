import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/sql/:id?',
    name: 'sql',
    component: () => import('./SqlPage.vue'),
    meta: {
      title: { zh: '查询台', en: 'SQL bench' },
      permission: 'query',
      nav: { group: 'data', order: 2, icon: 'sql' },
    },
  },
];
