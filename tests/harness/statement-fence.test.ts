import { describe, expect, test } from 'vitest';
import { findUnfenced } from './statement-fence.ts';

const guarded = new Set(['notes', 'api_keys', 'ops.outbox']);
const SCOPE = `with scope as materialized (select set_config('app.current_tenant_id', $1, true) as tenant_id) `;
const faultsOf = (text: string): string[] => findUnfenced(SCOPE + text, guarded);

const FENCED = `lateral (select n.id from notes n where n.tenant_id = scope.tenant_id offset 0) r`;

describe('a statement that reads only once the tenant is set is right', () => {
  test.each([
    ['a read', `select r.* from scope, ${FENCED}`],
    [
      'a read of two tables at once',
      `select r.* from scope, lateral (select n.id from notes n left join api_keys k on k.tenant_id = n.tenant_id
         where n.tenant_id = scope.tenant_id offset 0) r`,
    ],
    [
      'a read by the rows of another',
      `select q.* from scope, ${FENCED}, lateral (select k.key_id from api_keys k where k.key_id = r.id offset 0) q`,
    ],
    [
      'an insert',
      `, added as (insert into notes select scope.tenant_id from scope returning id) select * from added`,
    ],
    [
      'an insert of the rows of another CTE',
      `, fresh as (select scope.tenant_id from scope), added as (insert into ops.outbox select f.tenant_id from fresh f)
       select * from fresh`,
    ],
    ['a table that has no row security', `select * from scope, plans p`],
  ])('%s', (_what, text) => {
    expect(faultsOf(text)).toEqual([]);
  });
});

describe('a statement that could read before the tenant is set is found out', () => {
  test.each([
    ['a table beside scope', `select * from scope, api_keys k where k.tenant_id = scope.tenant_id`],
    ['a joined table', `select * from scope join api_keys k on k.tenant_id = scope.tenant_id`],
    [
      'no offset 0',
      `select r.* from scope, lateral (select from notes n where n.tenant_id = scope.tenant_id) r`,
    ],
    [
      'no value from scope',
      `select r.* from scope, lateral (select from notes n where n.tenant_id = $1 offset 0) r`,
    ],
    ['no lateral', `select r.* from scope, (select from notes n offset 0) r`],
    [
      'a subquery in a condition',
      `select * from scope where exists (select from notes n where n.tenant_id = tenant_id)`,
    ],
    ['a subquery that is a value', `select (select count(*) from notes) from scope`],
    ['a table beside the fence', `select r.* from api_keys k, scope, ${FENCED}`],
    ['a CTE of its own', `, n as (select * from notes) select * from scope, n`],
    [
      'an insert that takes nothing from scope',
      `, added as (insert into notes values ($1) returning id) select * from added`,
    ],
    [
      'an insert that reads a table',
      `, added as (insert into notes select k.tenant_id from scope, api_keys k) select 1`,
    ],
    ['an update', `, u as (update notes set id = 1 from scope returning 1) select * from u`],
    ['a deletion', `, d as (delete from notes using scope returning 1) select * from d`],
    [
      'the second half of a union',
      `select r.id from scope, ${FENCED} union all select k.key_id from api_keys k`,
    ],
  ])('%s', (_what, text) => {
    expect(faultsOf(text)).not.toEqual([]);
  });

  test.each([
    ['no scope', `select * from notes`],
    ['a scope that the planner may inline', `with scope as (select 1 as tenant_id) select * from scope`],
    ['two statements', `${SCOPE} select 1 from scope; select * from notes`],
  ])('%s', (_what, text) => {
    expect(findUnfenced(text, guarded)).not.toEqual([]);
  });
});
