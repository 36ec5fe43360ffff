import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/',
    name: 'home',
    component: () => import('./HomePage.vue'),
    meta: { title: { zh: '首页', en: 'Home' }, nav: { group: 'work', order: 1, icon: 'home' } },
  },
  {
    path: '/boards/:id',
    name: 'board',
    component: () => import('./HomePage.vue'),
    meta: { title: { zh: '看板', en: 'Board' } },
  },
];
