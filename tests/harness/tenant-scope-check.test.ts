import { describe, expect, test } from 'vitest';
import { findUnscoped } from './tenant-scope-check.ts';

const guarded = new Set(['notes', 'api_keys', 'ops.outbox']);
const SCOPE = `with scope as materialized (select set_config('app.current_tenant_id', $1, true) as tenant_id) `;
const faultsOf = (text: string): string[] => findUnscoped(SCOPE + text, guarded);

const SCOPED = `lateral (select n.id from notes n where n.tenant_id = scope.tenant_id offset 0) r`;

describe('a statement that reads only after the tenant is set is accepted', () => {
  test.each([
    ['a read', `select r.* from scope, ${SCOPED}`],
    [
      'a read of two tables at once',
      `select r.* from scope, lateral (select n.id from notes n left join api_keys k on k.tenant_id = n.tenant_id
         where n.tenant_id = scope.tenant_id offset 0) r`,
    ],
    [
      'a read with values from another read',
      `select q.* from scope, ${SCOPED}, lateral (select k.key_id from api_keys k where k.key_id = r.id offset 0) q`,
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
    [
      'a read that names the schema',
      `select r.* from scope, lateral (select from public.notes n where n.tenant_id = scope.tenant_id offset 0) r`,
    ],
    [
      'a read of the tenant by another name',
      `select r.* from scope s, lateral (select from notes n where n.tenant_id = s.tenant_id offset 0) r`,
    ],
    [
      'a reference from a subquery of the subquery',
      `select r.* from scope, lateral (select n.id from notes n
         where exists (select from api_keys k where k.tenant_id = scope.tenant_id) offset 0) r`,
    ],
    ['a table that has no row security', `select * from scope, plans p`],
  ])('%s', (_what, text) => {
    expect(faultsOf(text)).toEqual([]);
  });
});

describe('a statement that could read before the tenant is set is detected', () => {
  test.each([
    ['a table beside scope', `select * from scope, api_keys k where k.tenant_id = scope.tenant_id`],
    ['a table named with its schema', `select * from scope, public.api_keys k`],
    [
      'a table with its schema, beside a CTE of its name',
      `, api_keys as (select scope.tenant_id from scope) select * from api_keys, public.api_keys k`,
    ],
    [
      'an insert from a table with the CTE’s name',
      `, added as (insert into notes select s.tenant_id from public.scope s) select 1`,
    ],
    [
      'a subquery whose own table is called scope',
      `select r.* from scope, lateral (select scope.id from notes scope where scope.tenant_id = $2 offset 0) r`,
    ],
    [
      'a subquery whose own CTE is called scope',
      `select r.* from scope, lateral (with scope as (select $2 as tenant_id)
         select n.id from notes n, scope where n.tenant_id = scope.tenant_id offset 0) r`,
    ],
    [
      'a subquery in which another subquery calls its table scope',
      `select r.* from scope, lateral (select n.id from notes n
         where exists (select from plans scope where scope.tenant_id = n.tenant_id) offset 0) r`,
    ],
    [
      'a subquery that takes its value from another table called scope',
      `select (select count(*) from plans scope,
         lateral (select from notes n where n.tenant_id = scope.tenant_id offset 0) r) from scope`,
    ],
    [
      'a join that is called scope',
      `select (select count(*) from (plans p cross join plans q) as scope,
         lateral (select from notes n where n.tenant_id = scope.tenant_id offset 0) r) from scope`,
    ],
    [
      'an insert of the rows of a CTE that another one hides',
      `, fresh as (select scope.tenant_id from scope),
       added as (insert into notes with fresh as (select $2) select * from fresh) select 1`,
    ],
    [
      'a nested statement with its own scope',
      `select (with scope as (select $2 as tenant_id)
         select r.id from scope, lateral (select n.id from notes n where n.tenant_id = scope.tenant_id offset 0) r)
       from scope`,
    ],
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
    ['a table beside a right subquery', `select r.* from api_keys k, scope, ${SCOPED}`],
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
      `select r.id from scope, ${SCOPED} union all select k.key_id from api_keys k`,
    ],
  ])('%s', (_what, text) => {
    expect(faultsOf(text)).not.toEqual([]);
  });

  test.each([
    ['no scope', `select * from notes`],
    ['a scope that the planner may inline', `with scope as (select 1 as tenant_id) select * from scope`],
    ['two statements', `${SCOPE} select 1 from scope; select * from notes`],
  ])('%s', (_what, text) => {
    expect(findUnscoped(text, guarded)).not.toEqual([]);
  });
});
