import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type postgres from 'postgres';
import { afterAll, expect } from 'vitest';
import { TENANT_STATEMENTS } from '../../shared/platform/db/tenant-database.ts';
import { findUnscoped } from './tenant-scope-check.ts';

/**
 * Checks that all tenant statements of this test file, from the app and from tests, set the tenant first. Call it before the
 * databases are closed. Returns the statements so far.
 */
export function watchStatements(databases: readonly postgres.Sql[]): ReadonlySet<string> {
  const texts = new Set<string>();
  const listen = (text: unknown): void => void texts.add(String(text));
  subscribe(TENANT_STATEMENTS, listen);
  afterAll(async () => {
    unsubscribe(TENANT_STATEMENTS, listen);
    const guarded = new Set((await Promise.all(databases.map(readGuarded))).flat());
    const faults = [...texts].flatMap((text) =>
      findUnscoped(text, guarded).map((fault) => ({ fault, text })),
    );
    expect(faults).toEqual([]);
  });
  return texts;
}

/** The tables with row security, with the names that statements use. */
async function readGuarded(database: postgres.Sql): Promise<string[]> {
  const rows = await database<{ name: string }[]>`
    select case when n.nspname = 'public' then c.relname else n.nspname || '.' || c.relname end as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relrowsecurity`;
  return rows.map(({ name }) => name);
}
