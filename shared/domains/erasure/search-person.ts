import { inBatch } from '../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { PersonColumns } from '../../platform/resources/person-columns.ts';
import type { SearchedTable } from './catalogue.ts';
import { namesOf, personPattern, type Person } from './person-names.ts';
import { PAGE_SIZE, quoted, type SearchedPage } from './search.ts';

/** A condition that no row meets. */
const NEVER = '$2::text[] is null';

/**
 * Searches the tenant's next rows of a table for a person, in every column of text, JSON or ids. `own`: rows that name the person where
 * the erasure removes names. `naming`: rows that do so elsewhere. It walks in the order of the primary key. Where that does not begin
 * with the tenant, others' rows are read too, and count: a page of the tenant's rows could be anywhere.
 */
export async function searchPersonPage(
  database: CrossTenantDatabase,
  table: SearchedTable,
  given: { readonly tenantId: string; readonly person: Person; readonly columns: PersonColumns },
  after: readonly string[] | undefined,
): Promise<SearchedPage> {
  if (!table.has_tenant) return { own: 0, naming: 0, next: undefined };
  const { tenantId, person, columns } = given;
  const keys = table.key.map(({ name }) => `t.${quoted(name)}`).join(', ');
  const isOrdered = table.key[0]?.name === 'tenant_id';
  const bounds = table.key.map(({ type }, n) => `$${n + 5}::${type}`).join(', ');
  const texts = table.columns.filter(({ is_bytes: isBytes }) => !isBytes).map(({ name }) => name);
  const exact = texts.filter((name) => columns[name] === 'delete' || columns[name] === 'pseudonym');
  const trail = texts.filter((name) => columns[name] === 'trail');
  const others = texts.filter((name) => !exact.includes(name) && !trail.includes(name));
  const inText = (names: readonly string[]): string[] =>
    names.map((name) => `coalesce(t.${quoted(name)}::text ~* $3::text, false)`);
  const isOwn = [
    ...exact.map((name) => `coalesce(t.${quoted(name)}::text = any($2::text[]), false)`),
    ...inText(trail),
  ];
  const [found] = await inBatch(database, (transaction) =>
    transaction.query<{ own: number; naming: number; rows: number; last: string[] | null }>(
      `with page as materialized (
         select t.* from ${table.name} t
          where ${isOrdered ? 't.tenant_id = $1' : '$1::text is not null'}
            ${after === undefined ? '' : `and (${keys}) > (${bounds})`} order by ${keys} limit $4),
       judged as (
         select t.tenant_id = $1 and (${[NEVER, ...isOwn].join(' or ')}) as is_own,
                t.tenant_id = $1 and (${['$3::text is null', ...inText(others)].join(' or ')}) as names
           from page t)
       select count(*) filter (where is_own) as own, count(*) filter (where names and not is_own) as naming, count(*) as rows,
              (select json_build_array(${table.key.map(({ name }) => `t.${quoted(name)}::text`).join(', ')})
                 from page t offset greatest((select count(*) from page) - 1, 0) limit 1) as last
         from judged`,
      [tenantId, namesOf(person), personPattern(person), PAGE_SIZE, ...(after ?? [])],
      { prepare: false },
    ),
  );
  if (found === undefined) throw new Error('a count has no row');
  return {
    own: found.own,
    naming: found.naming,
    next: found.rows < PAGE_SIZE || found.last === null ? undefined : found.last,
  };
}
