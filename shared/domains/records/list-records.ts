import { numbered, when, type Condition, type PageRequest } from '../../platform/db/keyset.ts';
import { json, type Parameter } from '../../platform/db/tenant-database.ts';
import type { Call } from '../../platform/call/call.ts';
import {
  cursorScope,
  LIMIT_DEFAULT,
  pageReply,
  readPage,
  type Page,
} from '../../platform/http/pagination.ts';
import type { Reply } from '../../platform/call/reply.ts';
import { utcDay } from '../../platform/time/clock.ts';
import { daysAsText, KEPT_DAY, RECORD_COLUMNS } from './record-columns.ts';
import {
  FIRST_WINDOW_DAYS,
  firstWindow,
  isBeyond,
  widerWindows,
  type DaySpan,
  type DayWindow,
} from './record-windows.ts';
import type { RecordsQuery, StorageRecord } from './schemas.ts';

/**
 * A page of the tenant's records, in the order of (created_at, id). Rows are in partitions by day, and in one partition for
 * rows with another retention. A page reads that partition and the few days that probably fill the page, and reads more days
 * only if they do not. So the first page and the last page cost the same.
 */
export async function listRecords(
  call: Call,
  query: RecordsQuery,
  url: string,
): Promise<Reply<200, Page<StorageRecord>>> {
  const scope = cursorScope(call, query);
  const page = readPage(scope, query);
  return pageReply(scope, url, page, {
    read: (step) => readRows(call, query, step),
    positionOf: (row) => ({ at: row.created_at, id: row.id }),
  });
}

async function readRows(call: Call, query: RecordsQuery, page: PageRequest): Promise<StorageRecord[]> {
  const span = spanOf(call, query, page);
  const tried = firstWindow(span);
  let rows: StorageRecord[] = [];
  if (tried !== undefined) {
    rows = await readWindow(call, query, page, tried);
    const sure = rows.filter((row) => !isBeyond(span, tried, row.created_at.slice(0, 10)));
    if (tried.complete || sure.length > page.limit) return sure;
  }
  for (const window of widerWindows(span, tried, await occupiedDays(call))) {
    rows = await readWindow(call, query, page, window);
    const sure = rows.filter((row) => !isBeyond(span, window, row.created_at.slice(0, 10)));
    if (window.complete || sure.length > page.limit) return sure;
  }
  return rows;
}

/** The days that a page can be in. In descending order it begins at the latest today: no record is from the future. */
function spanOf(call: Call, query: RecordsQuery, page: PageRequest): DaySpan {
  const day = (instant: string | undefined): string | undefined =>
    instant === undefined ? undefined : utcDay(new Date(instant));
  const after = day(page.after?.at);
  const from = day(query.from);
  const to = day(query.to);
  return page.descending
    ? { descending: true, first: after ?? to ?? utcDay(call.now), last: from }
    : { descending: false, first: after ?? from, last: to };
}

/** The days whose partitions have rows of any tenant. It reads file sizes, which is far cheaper than planning over all. */
async function occupiedDays(call: Call): Promise<string[]> {
  const rows = await call.tenant.statement<{ day: string }>(
    `select o.day from scope, lateral (
       select to_date(right(c.relname, 8), 'YYYYMMDD') as day
         from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'storage_records'::regclass and c.relname ~ '_d[0-9]{8}$'
          and pg_relation_size(c.oid) > 0 and scope.tenant_id is not null offset 0) o`,
  );
  return rows.map((row) => row.day);
}

function conditionsOf(call: Call, query: RecordsQuery, page: PageRequest): readonly Condition[] {
  return [
    ...when('expires_at > ?', call.now),
    ...when('detector = ?', query.detector),
    ...when('model_version = ?', query.model_version),
    ...when(`mapped_data @> ?`, query.label === undefined ? undefined : json({ taxonomy: [query.label] })),
    ...when('(archived_at is not null) = ?', query.archived),
    ...when('created_at >= ?::timestamptz', query.from),
    ...when('created_at < ?::timestamptz', query.to),
    ...when(`created_at ${page.descending ? '<=' : '>='} ?::timestamptz`, page.after?.at),
  ];
}

/**
 * The days of the most usual page, as text: without a filter, with the default length, in one of the first windows. The
 * server keeps a plan for each text, so there must not be many texts.
 */
function usualDays(
  call: Call,
  query: RecordsQuery,
  page: PageRequest,
  days: readonly string[],
): string | undefined {
  const { limit: _limit, cursor: _cursor, sort: _sort, ...filters } = query;
  const isUsual =
    page.limit === LIMIT_DEFAULT &&
    days.length <= FIRST_WINDOW_DAYS + 1 &&
    Object.values(filters).every((filter) => filter === undefined);
  return isUsual ? daysAsText(days, call.now) : undefined;
}

async function readWindow(
  call: Call,
  query: RecordsQuery,
  page: PageRequest,
  window: DayWindow,
): Promise<StorageRecord[]> {
  const parameters: Parameter[] = [];
  const bind = (sql: string, ...values: readonly Parameter[]): string => {
    const text = numbered(sql, parameters.length + 2);
    parameters.push(...values);
    return text;
  };
  const direction = page.descending ? 'desc' : 'asc';
  const days = [...window.days, KEPT_DAY];
  const usual = usualDays(call, query, page, days);
  const rows = page.limit + 1;
  // As text: with the limit as a parameter, the server would not keep the plan.
  const limit = usual === undefined ? bind('limit ?', rows) : `limit ${rows}`;
  const where = [
    'tenant_id = scope.tenant_id',
    usual === undefined ? bind('partition_day = any(?::date[])', days) : `partition_day in (${usual})`,
    ...conditionsOf(call, query, page).map(({ sql, value }) => bind(sql, value)),
  ];
  if (page.after !== undefined) {
    const than = page.descending ? '<' : '>';
    where.push(bind(`(created_at, id) ${than} (?::timestamptz, ?::uuid)`, page.after.at, page.after.id));
  }
  return call.tenant.statement<StorageRecord>(
    `select page.* from scope, lateral (
       select ${RECORD_COLUMNS} from storage_records where ${where.join(' and ')}
        order by created_at ${direction}, id ${direction} ${limit} offset 0) page
      order by page.created_at ${direction}, page.id ${direction}`,
    parameters,
    // Otherwise unnamed: the server then plans with the days' values and locks only their partitions.
    { prepare: usual !== undefined },
  );
}
