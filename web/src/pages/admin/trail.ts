// The audit, searched backwards from its newest entry: the server gives it in pages by number.
import { AUDIT_PAGE_MAX, auditEntries, type AuditEntry } from '@/api/admin';
import { fromZone } from '@/app/zone';

const US_PER_MS = 1000;

export interface Wanted {
  who: string;
  /** The first word of an action: `query`, `user`. */
  what: string;
  object: string;
  outcome: string;
  /** Days in the city's zone, both included; empty where it does not matter. */
  from: string;
  to: string;
}

export const ALL: Wanted = { who: '', what: '', object: '', outcome: '', from: '', to: '' };

/** The first moment of a day, or of the one after it. */
function dayStart(day: string, zone: string, after = 0): number | null {
  const start = day === '' ? null : fromZone(`${day}T00:00`, zone);
  if (!start) return null;
  const next = new Date(`${day}T12:00:00Z`);
  next.setUTCDate(next.getUTCDate() + after);
  return fromZone(`${next.toISOString().slice(0, 10)}T00:00`, zone)?.getTime() ?? null;
}

export function matcher(wanted: Wanted, zone: string): (entry: AuditEntry) => boolean {
  const has = (text: string, part: string): boolean =>
    text.toLowerCase().includes(part.trim().toLowerCase());
  const from = dayStart(wanted.from, zone);
  const to = dayStart(wanted.to, zone, 1);
  return (entry) => {
    const at = entry.at_us / US_PER_MS;
    return (
      has(entry.actor, wanted.who) &&
      (wanted.what === '' || entry.action.split('.')[0] === wanted.what) &&
      has(entry.object, wanted.object) &&
      (wanted.outcome === '' || entry.outcome === wanted.outcome) &&
      (from === null || at >= from) &&
      (to === null || at < to)
    );
  };
}

/** Whether all earlier entries are before the days that are wanted. */
export function isPast(entry: AuditEntry, wanted: Wanted, zone: string): boolean {
  const from = dayStart(wanted.from, zone);
  return from !== null && entry.at_us / US_PER_MS < from;
}

/** The page of entries before a number, newest first; the newest where there is none. */
export async function pageBefore(
  before: number | null,
  signal?: AbortSignal,
): Promise<AuditEntry[]> {
  if (before === null) return (await auditEntries({ limit: AUDIT_PAGE_MAX }, signal)).entries;
  const after = Math.max(0, before - 1 - AUDIT_PAGE_MAX);
  const limit = before - 1 - after;
  if (limit <= 0) return [];
  const page = await auditEntries({ after, limit }, signal);
  return [...page.entries].reverse().filter((entry) => entry.seq < before);
}

export const momentOf = (entry: AuditEntry): Date => new Date(entry.at_us / US_PER_MS);
