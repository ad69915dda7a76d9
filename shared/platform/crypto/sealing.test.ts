import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { binding, open, seal, SealBroken } from './sealing.ts';

const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const keys = bytes(32, 32);
const texts = bytes(0, 300);
const bindings = fc
  .record({ tenantId: fc.string({ maxLength: 20 }), id: fc.string({ maxLength: 20 }) })
  .map(({ tenantId, id }) => binding(tenantId, id));

/** The same bytes with one bit changed. */
function flipped(original: Uint8Array, at: number): Uint8Array {
  const changed = Uint8Array.from(original);
  const bit = at % (original.length * 8);
  const index = Math.floor(bit / 8);
  changed[index] = (changed[index] ?? 0) ^ (1 << (bit % 8));
  return changed;
}

describe('what is sealed', () => {
  test('opens to the original bytes with its key and binding', () => {
    fc.assert(
      fc.property(keys, texts, bindings, (key, text, aad) => {
        expect(Buffer.compare(open(key, seal(key, text, aad), aad), text)).toBe(0);
      }),
    );
  });

  test('does not open after any bit of it was changed', () => {
    fc.assert(
      fc.property(keys, texts, bindings, fc.nat(), (key, text, aad, at) => {
        expect(() => open(key, flipped(seal(key, text, aad), at), aad)).toThrow(SealBroken);
      }),
      { numRuns: 500 },
    );
  });

  test('does not open with another key or another binding, even if one bit differs', () => {
    fc.assert(
      fc.property(keys, texts, bindings, fc.nat(), (key, text, aad, at) => {
        const sealed = seal(key, text, aad);
        expect(() => open(flipped(key, at), sealed, aad)).toThrow(SealBroken);
        expect(() => open(key, sealed, flipped(aad, at))).toThrow(SealBroken);
        expect(() => open(key, sealed, new Uint8Array(0))).toThrow(SealBroken);
      }),
      { numRuns: 300 },
    );
  });

  test('does not open when it was cut or extended', () => {
    fc.assert(
      fc.property(keys, texts, bindings, fc.nat(), bytes(1, 20), (key, text, aad, cut, more) => {
        const sealed = seal(key, text, aad);
        expect(() => open(key, sealed.subarray(0, cut % sealed.length), aad)).toThrow(SealBroken);
        expect(() => open(key, Buffer.concat([sealed, more]), aad)).toThrow(SealBroken);
        expect(() => open(key, Buffer.concat([more, sealed]), aad)).toThrow(SealBroken);
      }),
    );
  });

  test('is no envelope if it is shorter than an empty one or has another format', () => {
    const key = new Uint8Array(32).fill(7);
    const aad = binding('acme', 'one');
    const empty = seal(key, new Uint8Array(0), aad);
    expect(open(key, empty, aad)).toHaveLength(0);
    for (let length = 0; length < empty.length; length++)
      expect(() => open(key, empty.subarray(0, length), aad)).toThrow('not a sealed envelope');
    const otherFormat = Buffer.concat([Buffer.of(2), empty.subarray(1)]);
    expect(() => open(key, otherFormat, aad)).toThrow('not a sealed envelope');
  });

  test('is never the same twice, and does not contain the plain bytes', () => {
    const nonces = new Set<string>();
    const key = new Uint8Array(32).fill(7);
    const text = Buffer.from('a source that must not be seen');
    const aad = binding('acme', 'one');
    // More than the pool of random bytes contains, so that it is refilled.
    for (let n = 0; n < 5_000; n++) {
      const sealed = seal(key, text, aad);
      nonces.add(sealed.subarray(1, 13).toString('hex'));
      if (n % 500 === 0) expect(sealed.includes(text.subarray(0, 8))).toBe(false);
    }
    expect(nonces.size).toBe(5_000);
  });
});

describe('a binding', () => {
  const names = fc.oneof(
    fc.string({ maxLength: 12 }),
    // Characters that could be mistaken for the binding's own punctuation.
    fc.string({ unit: fc.constantFrom('1', '2', ':', '|', 'a'), maxLength: 8 }),
  );

  test('differs for each tenant and id, also when their parts look alike', () => {
    fc.assert(
      fc.property(
        names,
        names,
        names,
        fc.constantFrom('|', ':', '', '|1:', ':1|'),
        (start, middle, end, mark) => {
          const [left, right] = [`${start}${mark}${middle}`, `${middle}${mark}${end}`];
          const isSame = left === start && end === right;
          expect(binding(left, end).equals(binding(start, right))).toBe(isSame);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
