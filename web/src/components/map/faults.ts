// Layers whose tiles did not come: ground that looks empty must not be taken for an empty city.

/** Why a layer is missing: not for the reader, too large to be shown, or it could not be loaded. */
export type LayerFault = 'closed' | 'too_large' | 'failed';

export type Faults = Readonly<Record<string, LayerFault>>;

// MapLibre takes a 404 for an empty tile and tells nobody; the server says 403 of every layer that
// is not the reader's.
const CLOSED: readonly number[] = [401, 403, 404];
const TOO_LARGE = 413;

/** By the status of the answer; 0 where there was none. */
export function faultOf(status: number): LayerFault {
  if (CLOSED.includes(status)) return 'closed';
  return status === TOO_LARGE ? 'too_large' : 'failed';
}

/** What MapLibre tells when something of a source did not come. */
export interface SourceError {
  sourceId?: string;
  error?: { status?: number };
}

const SOURCES = 'tiles/';

/** The layer that an error is about, and what is wrong with it; null where it is about no layer. */
export function faultIn({ sourceId, error }: SourceError): [string, LayerFault] | null {
  if (!sourceId?.startsWith(SOURCES)) return null;
  return [sourceId.slice(SOURCES.length), faultOf(error?.status ?? 0)];
}

const ORDER: readonly LayerFault[] = ['closed', 'too_large', 'failed'];

/** The layers that are missing, by what is wrong with them. */
export function missingOf<T extends { id: string }>(
  layers: readonly T[],
  faults: Faults,
): { fault: LayerFault; layers: T[] }[] {
  return ORDER.map((fault) => ({
    fault,
    layers: layers.filter(({ id }) => faults[id] === fault),
  })).filter((one) => one.layers.length > 0);
}

/** Without the faults of layers that `kept` does not name. */
export function keepFaults(faults: Faults, kept: (id: string) => boolean): Faults {
  return Object.fromEntries(Object.entries(faults).filter(([id]) => kept(id)));
}
