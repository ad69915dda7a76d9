import { describe, expect, it } from 'vitest';
import { createRouteTable } from './route-table.ts';

function tableOf(...templates: string[]) {
  const table = createRouteTable(
    templates.map((template) => ({ template, methods: ['GET'], target: template })),
  );
  return (path: string): [string, Record<string, string>] | undefined => {
    const match = table('GET', path);
    return match && [match.target, match.params];
  };
}

describe('route table', () => {
  it('prefers literal text, then a constrained parameter, then a free one, then the rest', () => {
    const find = tableOf('r/{*rest}', 'r/{name}', 'r/{id:int}', 'r/fixed');
    expect(find('/r/fixed')).toEqual(['r/fixed', {}]);
    expect(find('/r/42')).toEqual(['r/{id:int}', { id: '42' }]);
    expect(find('/r/other')).toEqual(['r/{name}', { name: 'other' }]);
    expect(find('/r/a/b')).toEqual(['r/{*rest}', { rest: 'a/b' }]);
  });

  it('tries a less exact segment when the exact one leads to no route', () => {
    const find = tableOf('runs/latest/log', 'runs/{id}/cancel');
    expect(find('/runs/latest/cancel')).toEqual(['runs/{id}/cancel', { id: 'latest' }]);
    expect(find('/runs/latest')).toBeUndefined();
  });

  it('accepts a path without its optional parameter, default or rest', () => {
    const find = tableOf('a/{x?}', 'b/{x=7}', 'c/{*rest}');
    expect(find('/a')).toEqual(['a/{x?}', {}]);
    expect(find('/a/1')).toEqual(['a/{x?}', { x: '1' }]);
    expect(find('/b')).toEqual(['b/{x=7}', { x: '7' }]);
    expect(find('/b/8/')).toEqual(['b/{x=7}', { x: '8' }]);
    expect(find('/c/')).toEqual(['c/{*rest}', {}]);
  });

  it('refuses what a constraint does not allow', () => {
    const guid = '6f9619ff-8b86-d011-b42d-00cf4fc964ff';
    const find = tableOf(
      'g/{id:guid}',
      'l/{s:length(2,3)}',
      'm/{n:int:min(5)}',
      'x/{v:regex(^\\d{{2}}$)}',
      'o/{n:int?}',
    );
    expect(find(`/g/${guid}`)).toEqual(['g/{id:guid}', { id: guid }]);
    expect(find('/g/none')).toBeUndefined();
    expect(find('/l/abcd')).toBeUndefined();
    expect(find('/l/abc')).toBeDefined();
    expect(find('/m/4')).toBeUndefined();
    expect(find('/m/5')).toBeDefined();
    expect(find('/m/99999999999')).toBeUndefined();
    expect(find('/x/12')).toEqual(['x/{v:regex(^\\d{{2}}$)}', { v: '12' }]);
    expect(find('/x/123')).toBeUndefined();
    expect(find('/o')).toEqual(['o/{n:int?}', {}]);
    expect(find('/o/x')).toBeUndefined();
  });

  it('decodes parameter values, but keeps an encoded slash', () => {
    const find = tableOf('f/{name}', 'Ünï/{x}', 'v{major}.{minor}');
    expect(find('/F/a%20b%2Fc%25')).toEqual(['f/{name}', { name: 'a b%2Fc%' }]);
    expect(find('/f/%zz')).toEqual(['f/{name}', { name: '%zz' }]);
    expect(find('/%C3%9Cn%C3%AF/1')).toEqual(['Ünï/{x}', { x: '1' }]);
    expect(find('/v1.2')).toEqual(['v{major}.{minor}', { major: '1', minor: '2' }]);
    expect(find('/f//')).toBeUndefined();
  });

  it('keeps the parameter names of each route when two routes have the same shape', () => {
    const find = tableOf('t/{id}/a', 't/{name}/b');
    expect(find('/t/1/a')).toEqual(['t/{id}/a', { id: '1' }]);
    expect(find('/t/1/b')).toEqual(['t/{name}/b', { name: '1' }]);
  });

  it('refuses malformed templates and two routes for the same requests', () => {
    expect(() => tableOf('a/{id:nonsense}')).toThrow('there is no route constraint "nonsense"');
    expect(() => tableOf('a/{id')).toThrow('braces');
    expect(() => tableOf('a/{*rest}/b')).toThrow('only its last segment');
    expect(() => tableOf('a/{x}/{X}')).toThrow('occurs twice');
    expect(() => tableOf('a/{x}', 'a/{y}')).toThrow('both answer GET');
  });
});
