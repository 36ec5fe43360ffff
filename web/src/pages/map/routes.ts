import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/map',
    name: 'map',
    component: () => import('./MapPage.vue'),
    meta: {
      title: { zh: '地图', en: 'Map' },
      permission: 'query',
      nav: { group: 'work', order: 2, icon: 'map' },
    },
  },
  {
    // A short address for an area; the address of the page says it like all other pages do.
    path: '/map/:code(\\d{2,20})',
    redirect: ({ params, query }) => ({ name: 'map', query: { ...query, area: params.code } }),
    meta: { title: { zh: '地图', en: 'Map' }, permission: 'query' },
  } as PageRoute,
];
