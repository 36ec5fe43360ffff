import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/screen/:id?',
    name: 'screen',
    component: () => import('./ScreenPage.vue'),
    meta: { title: { zh: '大屏', en: 'Big screen' }, bare: true },
  },
];
