// The parts of administration, and who may open each.
import type { Text } from '@/api/types';

export type SectionId = 'users' | 'roles' | 'tokens' | 'sessions' | 'grants' | 'audit';

export interface Section {
  id: SectionId;
  title: Text;
  permission: readonly string[];
}

/** Who administers anything: three duties, in three hands. */
const DUTIES = ['manage_users', 'administer', 'audit'] as const;

export const SECTIONS: readonly Section[] = [
  { id: 'users', title: { zh: '用户', en: 'Users' }, permission: ['manage_users'] },
  { id: 'roles', title: { zh: '角色', en: 'Roles' }, permission: DUTIES },
  { id: 'tokens', title: { zh: '访问令牌', en: 'Tokens' }, permission: DUTIES },
  { id: 'sessions', title: { zh: '登录会话', en: 'Sessions' }, permission: DUTIES },
  {
    id: 'grants',
    title: { zh: '共享授权', en: 'Grants' },
    permission: ['grant', 'administer', 'audit'],
  },
  { id: 'audit', title: { zh: '审计', en: 'Audit' }, permission: ['audit'] },
];
