import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/sharing',
    name: 'sharing',
    component: () => import('./SharingPage.vue'),
    meta: {
      title: { zh: '共享申请', en: 'Sharing requests' },
      permission: ['grant', 'request_sharing'],
      nav: { group: 'data', order: 4, icon: 'inbox' },
    },
  },
];
