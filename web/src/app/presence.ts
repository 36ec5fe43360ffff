// Whether somebody sits in front of the page: what it asks by itself must not keep a session alive
// that its user has left.

/** Somebody who has touched nothing for so long may be gone. */
export const PRESENT_MS = 60_000;

const SIGNS = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'] as const;

let touched = Date.now();
let wall = false;

/** Notes each sign of life on the page. */
export function watchPresence(on: EventTarget = window): void {
  const touch = (): void => {
    touched = Date.now();
  };
  for (const sign of SIGNS) on.addEventListener(sign, touch, { passive: true });
}

/** A wall has nobody in front of it by its nature: its session lasts as long as any may. */
export function onWall(shown: boolean): void {
  wall = shown;
}

export function attended(now = Date.now()): boolean {
  return wall || now - touched < PRESENT_MS;
}
