// All pages, and who may open them.
import {
  createRouter,
  createWebHistory,
  type RouteLocationNormalized,
  type RouteLocationRaw,
} from 'vue-router';
import { text } from '@/i18n';
import type { PageRoute } from './page';
import { carry, startScope } from './scope';
import { ensureSession, mustEnrol, signedIn, whenSessionEnds } from './session';

const found = import.meta.glob<{ routes: PageRoute[] }>('../pages/*/routes.ts', { eager: true });

export const pages: PageRoute[] = Object.values(found).flatMap((page) => page.routes);

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    ...pages,
    {
      path: '/:path(.*)*',
      name: 'not-found',
      component: () => import('./NotFound.vue'),
      meta: { title: { zh: '没有这个页面', en: 'No such page' } },
    },
  ],
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
});

/** Only paths of this site: whoever sends a link cannot send people elsewhere after sign-in. */
export function safeTarget(to: unknown): string {
  const plain = typeof to === 'string' && /^\/(?![/\\])/.test(to) && !to.startsWith('/sign-in');
  return plain ? to : '/';
}

async function admit(to: RouteLocationNormalized): Promise<true | RouteLocationRaw> {
  const inside = await ensureSession();
  if (to.meta.open) return to.name === 'sign-in' && inside ? safeTarget(to.query.to) : true;
  if (inside) return mustEnrol.value && to.name !== 'account' ? { name: 'account' } : true;
  return { name: 'sign-in', query: to.fullPath === '/' ? {} : { to: to.fullPath } };
}

router.beforeEach(async (to, from) => {
  const answer = await admit(to);
  if (answer !== true) return answer;
  if (to.meta.open) return true;
  const query = carry(to, from);
  return query ? { path: to.path, query, hash: to.hash, replace: true } : true;
});

router.afterEach((to, from) => {
  const title = text(to.meta.title);
  document.title = title ? `${title} · 蜀锦 Shujin` : '蜀锦 Shujin';
  // A new page begins at its beginning for who uses a keyboard or a screen reader; another tab or
  // another row of the same page leaves the focus where it is.
  if (from.name && from.name !== to.name) {
    setTimeout(() => document.querySelector<HTMLElement>('#main')?.focus({ preventScroll: true }));
  }
});

startScope(router);
whenSessionEnds(() => {
  if (signedIn.value) return;
  const at = router.currentRoute.value;
  if (at.meta.open) return;
  void router.replace({ name: 'sign-in', query: { to: at.fullPath, ended: '1' } });
});
