// Geometries as the server's JSON has them — well-known binary in hexadecimal, WGS-84 — to GeoJSON.

export type Position = [number, number];

export type Geometry =
  | { type: 'Point'; coordinates: Position }
  | { type: 'LineString'; coordinates: Position[] }
  | { type: 'Polygon'; coordinates: Position[][] }
  | { type: 'MultiPoint'; coordinates: Position[] }
  | { type: 'MultiLineString'; coordinates: Position[][] }
  | { type: 'MultiPolygon'; coordinates: Position[][][] }
  | { type: 'GeometryCollection'; geometries: Geometry[] };

const PARTS_MAX = 1_000_000;

class Reader {
  private at = 0;
  private little = true;

  constructor(private readonly view: DataView) {}

  private byte(): number {
    return this.view.getUint8(this.at++);
  }

  private uint(): number {
    const value = this.view.getUint32(this.at, this.little);
    this.at += 4;
    return value;
  }

  private count(): number {
    const value = this.uint();
    if (value > PARTS_MAX) throw new RangeError('too many parts');
    return value;
  }

  private double(): number {
    const value = this.view.getFloat64(this.at, this.little);
    this.at += 8;
    return value;
  }

  private times<T>(read: () => T): T[] {
    return Array.from({ length: this.count() }, read);
  }

  geometry(): Geometry {
    this.little = this.byte() === 1;
    const code = this.uint();
    // EWKB flags and ISO thousands both say that there is height or measure; both are read over.
    const plain = code & 0x0fffffff;
    const extra =
      (code & 0x80000000 ? 1 : 0) +
      (code & 0x40000000 ? 1 : 0) +
      ([0, 1, 1, 2][Math.floor(plain / 1000)] ?? 0);
    if (code & 0x20000000) this.uint();
    const position = (): Position => {
      const [x, y] = [this.double(), this.double()];
      for (let over = 0; over < extra; over++) this.double();
      return [x, y];
    };
    const positions = (): Position[] => this.times(position);
    const rings = (): Position[][] => this.times(positions);
    switch ((plain & 0xffff) % 1000) {
      case 1:
        return { type: 'Point', coordinates: position() };
      case 2:
        return { type: 'LineString', coordinates: positions() };
      case 3:
        return { type: 'Polygon', coordinates: rings() };
      case 4:
        return { type: 'MultiPoint', coordinates: this.members('Point') };
      case 5:
        return { type: 'MultiLineString', coordinates: this.members('LineString') };
      case 6:
        return { type: 'MultiPolygon', coordinates: this.members('Polygon') };
      case 7:
        return { type: 'GeometryCollection', geometries: this.times(() => this.geometry()) };
      default:
        throw new TypeError(`geometry of kind ${code}`);
    }
  }

  private members<K extends Geometry['type']>(kind: K): Coordinates<K>[] {
    return this.times(() => {
      const member = this.geometry();
      if (member.type !== kind) throw new TypeError('a member of another kind');
      return (member as Extract<Geometry, { coordinates: unknown }>).coordinates as Coordinates<K>;
    });
  }
}

type Coordinates<K> = Extract<Geometry, { type: K }> extends { coordinates: infer C } ? C : never;

const HEX = /^[0-9a-f]{18,}$/i;

/** Whether a value looks like a geometry in hexadecimal. */
export function looksLikeWkb(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length % 2 === 0 &&
    /^0[01]/.test(value) &&
    HEX.test(value.slice(0, 42))
  );
}

/** The geometry, or null for what is none. */
export function fromWkb(hex: string): Geometry | null {
  try {
    const bytes = new Uint8Array(hex.length / 2);
    for (let at = 0; at < bytes.length; at++) {
      bytes[at] = Number.parseInt(hex.slice(at * 2, at * 2 + 2), 16);
    }
    return new Reader(new DataView(bytes.buffer)).geometry();
  } catch {
    return null;
  }
}
