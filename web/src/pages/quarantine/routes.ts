import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/quarantine',
    name: 'quarantine',
    component: () => import('./QuarantinePage.vue'),
    meta: {
      title: { zh: '待修复数据', en: 'Quarantine' },
      permission: 'import',
      nav: { group: 'data', order: 5, icon: 'quarantine' },
    },
  },
];
