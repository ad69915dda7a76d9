import { describe, expect, test } from 'vitest';
import { readLabels } from '../../tools/migrate/migration-labels.ts';
import type { MigrationFile } from '../../tools/migrate/migration-files.ts';
import { checkFile } from './rules.ts';
import { runSquawk } from './run-squawk.ts';

const RELEASE = '0.3.0';

function fileOf(text: string): MigrationFile {
  return { name: '0002_new', text, sha256: '', ...readLabels('0002_new', text) };
}

/** The rules that a file violates, ours and squawk's. */
function violated(text: string): string[] {
  const file = fileOf(text);
  const findings = [...checkFile(file, RELEASE), ...runSquawk(file)];
  return [...new Set(findings.map(({ rule }) => rule))].sort();
}

const EXPAND = '-- phase: expand\n';
const ALONE = '-- phase: expand\n-- no-transaction\n';
const MIGRATE = '-- phase: migrate\n';
const CONTRACT = '-- phase: contract\n-- after-release: 0.3.0\n';

describe('accepted are', () => {
  test.each([
    ['a column that older builds leave out', `${EXPAND}alter table one add column new text;`],
    ['one with a constant default', `${EXPAND}alter table one add column new bigint not null default 0;`],
    [
      'a new table with its keys, policies and grants',
      `${EXPAND}create table new (tenant_id text not null, id bigint not null, primary key (tenant_id, id));
       create unique index new_id on new (tenant_id, id desc);
       alter table new enable row level security;
       call ops.isolate_tenant('new');
       grant select on new to comply_app;
       insert into new (tenant_id, id) values ('platform', 1);`,
    ],
    ['an index beside the requests', `${ALONE}create index concurrently if not exists one_old on one (old);`],
    [
      'a key of a new column',
      `${ALONE}alter table one add column if not exists k text;
       create unique index concurrently if not exists one_k on one (k);`,
    ],
    [
      'a function and who may call it',
      `${EXPAND}create or replace function f() returns text language sql return 'x';
       revoke all on function f() from public; grant execute on function f() to comply_app;`,
    ],
    [
      'another list of values for a check',
      `${EXPAND}alter table one drop constraint one_kind, add constraint one_kind check (kind in ('a', 'b')) not valid;`,
    ],
    ['a check that is validated', `${MIGRATE}alter table one validate constraint one_kind;`],
    [
      'data in batches',
      `-- phase: migrate\n-- no-transaction\ndo $$ begin loop
       update one set new = old where id in (select id from one where new is null limit 1000);
       exit when not found; commit; end loop; end $$;`,
    ],
    ['the end of a column', `${CONTRACT}alter table one drop column old;`],
    ['the end of a table', `${CONTRACT}drop table one;`],
    [
      'a constraint that no running build violates',
      `-- phase: contract\n-- after-release: 0.3.0\n-- no-transaction
       alter table one drop constraint if exists one_new;
       alter table one add constraint one_new check (new is not null) not valid;
       alter table one validate constraint one_new;`,
    ],
    [
      'what a rule of ours forbids, with the reason',
      `${EXPAND}alter table one add column new text;
-- allow removal-in-contract: no build has ever called it
drop function f();`,
    ],
    [
      'an index on the parent of partitions, with the reason',
      `${EXPAND}-- partitions-make builds it in each partition.
-- squawk-ignore require-concurrent-index-creation
create index one_old on only one (old);`,
    ],
  ])('%s', (_, text) => {
    expect(violated(text)).toEqual([]);
  });
});

describe('refused is', () => {
  test.each([
    ['a file without a phase', 'alter table one add column new text;', ['phase']],
    [
      'a contract migration for a release that does not exist yet',
      '-- phase: contract\n-- after-release: 0.4.0\ndrop table one;',
      ['after-release'],
    ],
    [
      'a column that older builds would have to fill',
      `${EXPAND}alter table one add column new text not null;`,
      ['adding-required-field'],
    ],
    [
      'a dropped column',
      `${EXPAND}alter table one drop column old;`,
      ['ban-drop-column', 'removal-in-contract'],
    ],
    ['a dropped table', `${EXPAND}drop table one;`, ['ban-drop-table', 'removal-in-contract']],
    ['a dropped function', `${EXPAND}drop function f();`, ['removal-in-contract']],
    ['a dropped index', `${ALONE}drop index concurrently if exists one_old;`, ['removal-in-contract']],
    ['a dropped default', `${EXPAND}alter table one alter column old drop default;`, ['removal-in-contract']],
    ['a dropped constraint', `${EXPAND}alter table one drop constraint one_key;`, ['removal-in-contract']],
    ['a right that is taken', `${EXPAND}revoke select on one from comply_app;`, ['removal-in-contract']],
    [
      'a renamed column',
      `${CONTRACT}alter table one rename column old to new;`,
      ['no-rename', 'renaming-column'],
    ],
    ['a renamed table', `${CONTRACT}alter table one rename to two;`, ['no-rename', 'renaming-table']],
    ['a renamed function', `${CONTRACT}alter function f() rename to g;`, ['no-rename']],
    ['another type', `${CONTRACT}alter table one alter column old type text;`, ['changing-column-type']],
    [
      'a check that older builds may violate',
      `${EXPAND}alter table one add constraint c check (old > 0) not valid;`,
      ['tightening-in-contract'],
    ],
    [
      'a check that reads the table under its lock',
      `${CONTRACT}alter table one add constraint c check (old > 0);`,
      ['constraint-missing-not-valid'],
    ],
    [
      'a foreign key that reads the table under its lock',
      `${CONTRACT}alter table one add constraint c foreign key (a) references two (a);`,
      ['adding-foreign-key-constraint', 'constraint-missing-not-valid'],
    ],
    [
      'a key that older builds may violate',
      `${ALONE}create unique index concurrently if not exists one_old on one (old);`,
      ['tightening-in-contract'],
    ],
    [
      'NOT NULL on an old column',
      `${EXPAND}alter table one alter column old set not null;`,
      ['adding-not-nullable-field', 'tightening-in-contract'],
    ],
    [
      'an index that stops the writes',
      `${EXPAND}create index one_old on one (old);`,
      ['require-concurrent-index-creation'],
    ],
    [
      'a concurrent index in a transaction',
      `${EXPAND}create index concurrently one_old on one (old);`,
      ['concurrent-index'],
    ],
    [
      'a concurrent index that cannot be built a second time',
      `${ALONE}create index concurrently one_old on one (old);`,
      ['prefer-robust-stmts'],
    ],
    [
      'a concurrent index without a name',
      `${ALONE}create index concurrently on one (old);`,
      ['concurrent-index'],
    ],
    [
      'a rule of ours switched off without a reason',
      `${EXPAND}-- allow removal-in-contract:\ndrop function f();`,
      ['removal-in-contract'],
    ],
    ['changed rows beside a change of the table', `${EXPAND}update one set new = old;`, ['data-in-migrate']],
    ['a block that the rules cannot read', `${EXPAND}do $$ begin end $$;`, ['data-in-migrate']],
    [
      'a change of the table beside changed rows',
      `${MIGRATE}alter table one add column a text;`,
      ['schema-in-expand'],
    ],
    [
      'two tables locked by one transaction',
      `${EXPAND}alter table one add column a text;\nalter table two add column a text;`,
      ['one-table-per-file'],
    ],
    ['a locked table', `${EXPAND}lock table one;`, ['never-in-a-migration']],
    ['an emptied table', `${CONTRACT}truncate one;`, ['never-in-a-migration']],
    ['a timeout of its own', `${EXPAND}set lock_timeout = '1h';`, ['never-in-a-migration']],
    [
      'a rule of squawk switched off without a reason',
      `${EXPAND}-- squawk-ignore adding-required-field\nalter table one add column new text not null;`,
      ['ignored-with-reason'],
    ],
  ])('%s', (_, text, rules) => {
    expect(violated(text)).toEqual(rules);
  });

  test('what is no SQL', () => {
    expect(() => violated(`${EXPAND}alter tabel one;`)).toThrow('syntax error');
  });

  test('at its line, also behind letters of several bytes', () => {
    const text = `${EXPAND}-- «Ünïcode»: a comment.\nalter table one add column a text;\n\ndrop function f();\n`;
    expect(checkFile(fileOf(text), RELEASE)).toEqual([
      expect.objectContaining({ line: 5, rule: 'removal-in-contract' }),
    ]);
  });
});
