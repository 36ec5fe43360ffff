import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/account',
    name: 'account',
    component: () => import('./AccountPage.vue'),
    meta: { title: { zh: '我的账号', en: 'My account' } },
  },
];
