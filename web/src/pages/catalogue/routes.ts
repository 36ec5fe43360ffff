import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/catalogue',
    name: 'catalogue',
    component: () => import('./CataloguePage.vue'),
    meta: {
      title: { zh: '数据目录', en: 'Catalogue' },
      permission: 'read_catalogue',
      nav: { group: 'data', order: 1, icon: 'catalogue' },
    },
  },
  {
    path: '/catalogue/:id/:tab?',
    name: 'dataset',
    component: () => import('./DatasetPage.vue'),
    meta: { title: { zh: '数据详情', en: 'Dataset' }, permission: 'read_catalogue' },
  },
];
