import { describe, expect, it } from 'vitest';
import { fromWkb, looksLikeWkb } from '@/components/geo/wkb';

const POINT = '01010000001fa5f54e37015a40566b7205b2a03e40';

describe('a geometry', () => {
  it('is read from hexadecimal', () => {
    expect(looksLikeWkb(POINT)).toBe(true);
    const point = fromWkb(POINT);
    expect(point?.type).toBe('Point');
    expect(point && 'coordinates' in point && point.coordinates).toEqual([
      expect.closeTo(104.0189, 3),
      expect.closeTo(30.6277, 3),
    ]);
  });

  it('of many parts is read part by part', () => {
    const many = `010400000002000000${POINT}${POINT}`;
    expect(fromWkb(many)?.type).toBe('MultiPoint');
  });

  it('is not read from what is none', () => {
    expect(looksLikeWkb('hello')).toBe(false);
    expect(looksLikeWkb('510104017000')).toBe(false);
    expect(fromWkb('0101000000')).toBeNull();
    expect(fromWkb('01ff00000000')).toBeNull();
  });
});
