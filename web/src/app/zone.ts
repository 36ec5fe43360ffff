// Wall-clock time in a zone to a moment and back. `datetime-local` fields know no zone, and the
// officer's laptop may be set to another one than the city's.

const PART_NAMES = ['year', 'month', 'day', 'hour', 'minute'] as const;

function parts(moment: Date, zone: string): number[] {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const found = format.formatToParts(moment);
  return PART_NAMES.map((name) => Number(found.find((part) => part.type === name)?.value));
}

/** `2026-11-23T16:05`, as the clock in the zone shows it. */
export function toZone(moment: Date, zone: string): string {
  const [year = 0, ...rest] = parts(moment, zone);
  const [month, day, hour, minute] = rest.map((part) => String(part).padStart(2, '0'));
  return `${year}-${month}-${day}T${hour}:${minute}`;
}

/** The moment at which the clock in the zone shows `wall`; null where that is no time. */
export function fromZone(wall: string, zone: string): Date | null {
  const guess = new Date(`${wall}Z`);
  if (Number.isNaN(guess.getTime())) return null;
  const shown = new Date(`${toZone(guess, zone)}Z`);
  return new Date(
    guess.getTime() - (shown.getTime() - Math.floor(guess.getTime() / 60_000) * 60_000),
  );
}
