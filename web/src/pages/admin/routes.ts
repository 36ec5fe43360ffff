import type { PageRoute } from '@/app/page';
import { SECTIONS } from './sections';

const PAGES = {
  users: () => import('./UsersPage.vue'),
  roles: () => import('./RolesPage.vue'),
  tokens: () => import('./TokensPage.vue'),
  sessions: () => import('./SessionsPage.vue'),
  grants: () => import('./GrantsPage.vue'),
  audit: () => import('./AuditPage.vue'),
};

export const routes: PageRoute[] = [
  {
    path: '/admin',
    name: 'admin',
    component: () => import('./AdminPage.vue'),
    meta: {
      title: { zh: '系统管理', en: 'Administration' },
      permission: ['manage_users', 'administer', 'audit', 'grant'],
      nav: { group: 'system', order: 1, icon: 'admin' },
    },
  },
  ...SECTIONS.map((section) => ({
    path: `/admin/${section.id}`,
    name: `admin-${section.id}`,
    component: PAGES[section.id],
    meta: { title: section.title, permission: section.permission },
  })),
];
