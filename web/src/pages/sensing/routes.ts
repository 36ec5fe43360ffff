import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/sensing',
    name: 'sensing',
    component: () => import('./OverviewPage.vue'),
    meta: {
      title: { zh: '感知总览', en: 'Sensing overview' },
      permission: 'query',
      nav: { group: 'sensing', order: 1, icon: 'sensor' },
    },
  },
  {
    path: '/sensing/map',
    name: 'sensing-map',
    component: () => import('./SensorMapPage.vue'),
    meta: {
      title: { zh: '感知地图', en: 'Sensor map' },
      permission: 'query',
      nav: { group: 'sensing', order: 2, icon: 'map' },
    },
  },
  {
    path: '/sensing/devices',
    name: 'sensing-devices',
    component: () => import('./DevicesPage.vue'),
    meta: {
      title: { zh: '感知设备', en: 'Devices' },
      permission: 'query',
      nav: { group: 'sensing', order: 3, icon: 'table' },
    },
  },
  {
    path: '/sensing/devices/:thing(\\d+)',
    name: 'sensing-device',
    component: () => import('./DevicePage.vue'),
    meta: { title: { zh: '感知设备', en: 'Device' }, permission: 'query' },
  },
  {
    path: '/sensing/compare',
    name: 'sensing-compare',
    component: () => import('./ComparePage.vue'),
    meta: {
      title: { zh: '数据对比', en: 'Compare readings' },
      permission: 'query',
      nav: { group: 'sensing', order: 4, icon: 'compare' },
    },
  },
  {
    path: '/sensing/coverage',
    name: 'sensing-coverage',
    component: () => import('./CoveragePage.vue'),
    meta: {
      title: { zh: '覆盖与盲区', en: 'Coverage' },
      permission: 'query',
      nav: { group: 'sensing', order: 5, icon: 'cover' },
    },
  },
  {
    path: '/sensing/ingest',
    name: 'sensing-ingest',
    component: () => import('./IngestPage.vue'),
    meta: {
      title: { zh: '接入状况', en: 'Ingest health' },
      permission: 'query',
      nav: { group: 'sensing', order: 6, icon: 'live' },
    },
  },
];
