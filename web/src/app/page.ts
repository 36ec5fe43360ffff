// What a page tells the shell about itself. Each folder of `pages` has a `routes.ts` that exports
// `routes: PageRoute[]`; the shell finds them by itself, so that pages do not edit a shared list.
import type { RouteRecordRaw } from 'vue-router';
import type { Text } from '@/api/types';
import type { IconName } from '@/components/icons';

export type NavGroup = 'work' | 'sensing' | 'data' | 'system';

export interface PageMeta {
  title: Text;
  /** Who may open it: any of these permissions. Left out: whoever is signed in. */
  permission?: string | readonly string[];
  /** Open without a session. */
  open?: boolean;
  /** Shown without the shell around it: sign-in, big screen. */
  bare?: boolean;
  /** Where it stands in the navigation; left out, it is not there. */
  nav?: { group: NavGroup; order: number; icon: IconName };
}

export type PageRoute = RouteRecordRaw & { meta: PageMeta };

declare module 'vue-router' {
  // Merged with the router's own: its fields are ours.
  interface RouteMeta extends Partial<PageMeta> {
    readonly marked?: never;
  }
}
