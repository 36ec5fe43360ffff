import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/objects/:dataset/:key',
    name: 'object',
    component: () => import('./ObjectPage.vue'),
    meta: { title: { zh: '对象', en: 'Object' }, permission: 'query' },
  },
];
