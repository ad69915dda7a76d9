import { describe, expect, it } from 'vitest';
import { findUnstorable } from './unstorable.ts';
import { findInJson, mapTexts } from './walk.ts';

const value: unknown = JSON.parse('{"a":[1,{"b/c":"x"}],"__proto__":{"d~":null},"e":true}');

describe('findInJson', () => {
  it('visits each container before its members, with pointers of RFC 6901, and only own members', () => {
    const seen: [string, string | undefined, number][] = [];
    findInJson(value, (_, place) => void seen.push([place.pointer, place.name, place.depth]));
    expect(seen).toEqual([
      ['', undefined, 0],
      ['/a', 'a', 1],
      ['/a/0', undefined, 2],
      ['/a/1', undefined, 2],
      ['/a/1/b~1c', 'b/c', 3],
      ['/__proto__', '__proto__', 1],
      ['/__proto__/d~0', 'd~', 2],
      ['/e', 'e', 1],
    ]);
  });

  it('ends at the first result, and knows its place', () => {
    const seen: unknown[] = [];
    const found = findInJson(value, (member, place) => {
      seen.push(member);
      return member === 'x' ? [place.container, place.pointer] : undefined;
    });
    expect(found).toEqual(['/a/1', '/a/1/b~1c']);
    expect(seen).not.toContain(true);
  });

  it('walks any depth without overflowing the stack', () => {
    const deep: unknown = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`);
    expect(findInJson(deep, (_, { depth }) => (depth === 199_999 ? depth : undefined))).toBe(199_999);
  });
});

it('mapTexts changes every text and no name, and keeps a member named __proto__', () => {
  const changed = mapTexts(JSON.parse('{"a":["b",1,null,{"__proto__":"c"}]}'), (text) => text.toUpperCase());
  expect(JSON.stringify(changed)).toBe('{"a":["B",1,null,{"__proto__":"C"}]}');
});

describe('findUnstorable', () => {
  const deep = (levels: number): unknown => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`);

  it.each([
    ['{"a":["x\\u0000"]}', '/a/0', 'holds a NUL or half a surrogate pair'],
    ['{"a":"\\ud800"}', '/a', 'holds a NUL or half a surrogate pair'],
    ['{"a":{"b\\u0000":1}}', '/a', 'has a name that holds a NUL or half a surrogate pair'],
    ['[1e999]', '/0', 'is beyond the range of a number'],
    ['{"a":{"__proto__":{}}}', '/a/__proto__', 'is not a name that can be kept'],
  ])('refuses %s', (json, pointer, detail) => {
    expect(findUnstorable(JSON.parse(json))).toEqual({ pointer, detail });
  });

  it('refuses nesting deeper than 40 levels, and takes 40', () => {
    expect(findUnstorable(deep(40))).toBeUndefined();
    expect(findUnstorable(deep(41))?.detail).toBe('is nested deeper than 40 levels');
  });

  it('skips texts when none can be invalid, and checks everything else', () => {
    const free = (json: string) => findUnstorable(JSON.parse(json), { texts: false });
    expect(free('{"a":["x\\u0000","\\ud800"],"b\\u0000":1}')).toBeUndefined();
    expect(free('{"a":[1e999]}')).toEqual({ pointer: '/a/0', detail: 'is beyond the range of a number' });
    expect(free('{"__proto__":1}')?.pointer).toBe('/__proto__');
    expect(findUnstorable(deep(41), { texts: false })).toBeDefined();
  });

  it('accepts everything that JSON and PostgreSQL can both store', () => {
    expect(findUnstorable({ a: ['😀', 1.5, null, true, { constructor: 'x' }], b: '' })).toBeUndefined();
  });
});
