import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/sign-in',
    name: 'sign-in',
    component: () => import('./SignInPage.vue'),
    meta: { title: { zh: '登录', en: 'Sign in' }, open: true, bare: true },
  },
];
