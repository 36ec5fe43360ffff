// Who sits in front of the screen.
import { computed, readonly, ref } from 'vue';
import * as api from '@/api/session';
import { closeEvents, openEvents } from '@/api/events';
import { onSessionLost, setCsrf } from '@/api/client';
import { asProblem, type Problem } from '@/api/problem';
import { setZone } from '@/i18n/format';

const current = ref<api.Me | null>(null);
const asked = ref(false);
const failure = ref<Problem | null>(null);
const city = ref<api.SignIn['city'] | null>(null);

export const me = readonly(current);
export const cityOf = readonly(city);
/** Why the session could not be asked for, when it is not for lack of one. */
export const sessionFailure = readonly(failure);
export const signedIn = computed(() => current.value !== null);

export function may(permission: string | readonly string[] | undefined): boolean {
  if (permission === undefined) return true;
  const wanted = typeof permission === 'string' ? [permission] : permission;
  return wanted.some((one) => current.value?.permissions.includes(one));
}

export function hasRole(id: string): boolean {
  return current.value?.roles.some((role) => role.id === id) ?? false;
}

function enter(who: api.Me): void {
  current.value = who;
  failure.value = null;
  asked.value = true;
  if (!who.must_enrol) openEvents();
}

/** Whether a second factor has to be enrolled before anything else. */
export const mustEnrol = computed(() => current.value?.must_enrol === true);

function leave(): void {
  current.value = null;
  setCsrf(null);
  closeEvents();
}

/** The city's name and zone, which anybody may know. */
export async function loadSignIn(): Promise<api.SignIn> {
  const options = await api.signInOptions();
  city.value = options.city;
  setZone(options.city.zone);
  return options;
}

/** Finds out once whether there is a session. */
export async function ensureSession(): Promise<boolean> {
  if (asked.value && !failure.value) return signedIn.value;
  try {
    enter(await api.currentSession());
    if (!city.value) await loadSignIn().catch(() => undefined);
  } catch (thrown) {
    const problem = asProblem(thrown);
    asked.value = true;
    failure.value = problem.status === 401 ? null : problem;
    current.value = null;
  }
  return signedIn.value;
}

export async function refreshSession(): Promise<void> {
  enter(await api.currentSession());
}

export async function signIn(user: string, password: string, code?: string): Promise<void> {
  enter(await api.signIn(user, password, code));
}

/** Thrown where the session may still stand: whoever walks away believes that they are out. */
export async function signOut(): Promise<void> {
  try {
    await api.signOut();
  } catch (thrown) {
    // 401: it had ended before.
    if (asProblem(thrown).status !== 401) throw thrown;
  }
  leave();
}

/** Calls `then` when the server ends the session behind our back. */
export function whenSessionEnds(then: () => void): void {
  onSessionLost(() => {
    if (!signedIn.value) return;
    leave();
    then();
  });
}
