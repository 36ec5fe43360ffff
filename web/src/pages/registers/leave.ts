// Asks before a page is left while something runs that leaving would end: going to another page,
// and closing the tab.
import { onBeforeUnmount, ref, watch, type Ref } from 'vue';
import { onBeforeRouteLeave } from 'vue-router';
import { signedIn } from '@/app/session';

export interface LeaveGuard {
  /** Whether it is being asked; closing the question stays. */
  asking: Ref<boolean>;
  leave: () => void;
}

// The browser asks in words of its own.
function warn(event: BeforeUnloadEvent): void {
  event.preventDefault();
  // Browsers before 2023 look here alone.
  event.returnValue = 'leave';
}

export function useLeaveGuard(running: Ref<boolean>): LeaveGuard {
  const asking = ref(false);
  let answer: ((go: boolean) => void) | null = null;

  function decide(go: boolean): void {
    answer?.(go);
    answer = null;
    asking.value = false;
  }

  onBeforeRouteLeave(() => {
    // Whoever is signed out is led to the door, and the server takes nothing more of theirs.
    if (!running.value || !signedIn.value) return true;
    decide(false);
    asking.value = true;
    return new Promise<boolean>((resolve) => (answer = resolve));
  });
  watch(asking, (now) => now || decide(false));
  watch(running, (now) => {
    if (now) window.addEventListener('beforeunload', warn);
    else window.removeEventListener('beforeunload', warn);
    // What it came to is to be seen here.
    if (!now) decide(false);
  });
  onBeforeUnmount(() => window.removeEventListener('beforeunload', warn));
  return { asking, leave: () => decide(true) };
}
