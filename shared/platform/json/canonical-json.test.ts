import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from './canonical-json.ts';

describe('canonicalJson', () => {
  it('writes any JSON value as RFC 8785 says', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const parsed: unknown = JSON.parse(JSON.stringify(value));
        expect(canonicalJson(parsed)).toBe(canonicalize(parsed));
      }),
    );
  });

  it('orders names by their UTF-16 units, digits as text', () => {
    expect(canonicalJson({ b: 1, '10': 2, '9': 3, '\ufb33': 4, '😀': 5, a: undefined })).toBe(
      '{"10":2,"9":3,"b":1,"😀":5,"\ufb33":4}',
    );
    expect(canonicalJson([undefined, -0, 1e21])).toBe('[null,0,1e+21]');
    expect(canonicalJson(JSON.parse('{"__proto__":{"b":1,"a":2}}'))).toBe('{"__proto__":{"a":2,"b":1}}');
  });

  it('refuses values for which RFC 8785 has no form', () => {
    for (const value of [NaN, Infinity, '\ud800', { '\udc00': 1 }]) {
      expect(() => canonicalJson(value)).toThrow('has no canonical form');
    }
  });
});
