import type { PageRoute } from '@/app/page';

export const routes: PageRoute[] = [
  {
    path: '/registers',
    name: 'registers',
    component: () => import('./RegistersPage.vue'),
    meta: {
      title: { zh: '登记册', en: 'Registers' },
      permission: 'query',
      nav: { group: 'data', order: 3, icon: 'register' },
    },
  },
  {
    path: '/registers/:dataset',
    name: 'register',
    component: () => import('./RegisterPage.vue'),
    meta: { title: { zh: '登记册', en: 'Register' }, permission: 'query' },
  },
  {
    path: '/registers/:dataset/new',
    name: 'register-new',
    component: () => import('./NewRowPage.vue'),
    meta: { title: { zh: '新增登记', en: 'New entry' }, permission: 'edit_register' },
  },
  {
    path: '/registers/:dataset/import',
    name: 'register-import',
    component: () => import('./ImportPage.vue'),
    meta: { title: { zh: '导入文件', en: 'Import a file' }, permission: 'import' },
  },
  {
    path: '/registers/:dataset/rows/:key',
    name: 'register-row',
    component: () => import('./RowPage.vue'),
    meta: { title: { zh: '登记内容', en: 'Entry' }, permission: 'query' },
  },
];
