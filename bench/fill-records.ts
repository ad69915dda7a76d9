import type { AdminSql } from './bench-stack.ts';

/** The records that a benchmark needs. */
export interface WantedRecords {
  readonly rows: number;
  /** The newest record is from midnight UTC, this many days ago. */
  readonly newestDaysAgo: number;
  /** The records are spread evenly over this many days before. */
  readonly days: number;
}

/** Rows per statement, so that no statement becomes too large. */
const STATEMENT_ROWS = 100_000;

/**
 * Fills acme's storage records with archived rows of the same size as in the write benchmark, as if they had been written and
 * archived on their day. Then vacuums, makes statistics and runs a checkpoint, as a server has done days later.
 */
export async function fillRecords(core: AdminSql, wanted: WantedRecords): Promise<void> {
  const [row] = await core<
    { day: string }[]
  >`select (current_date - ${wanted.newestDaysAgo}::int)::text as day`;
  const end = row?.day ?? '';
  await core`select ops.make_partition('storage_records', 'day', ${end}::date - n)
               from generate_series(1, ${wanted.days}::int) n`;
  for (let from = 0; from < wanted.rows; from += STATEMENT_ROWS) {
    const to = Math.min(wanted.rows, from + STATEMENT_ROWS);
    await core.begin(async (sql) => {
      await sql`set local synchronous_commit = off`;
      await sql`
        insert into storage_records (tenant_id, id, partition_day, source_data, mapped_data, model_version, detector,
          timestamp, metadata, source_id, encryption_key_id, blob_url, blob_sha256, blob_bytes, access_tier, archived_at,
          created_at, expires_at)
        select 'acme', uuidv7(at - now()), (at at time zone 'UTC')::date, decode(repeat('5a', 429), 'hex'),
               '{"taxonomy": ["PII.Identifier.CreditCard", "PII.Contact.Address"], "confidence": 0.94, "scores":
                 {"PII.Identifier.CreditCard": 0.97, "PII.Contact.Address": 0.61}, "processing_time_ms": 41,
                 "model_used": "mapper-8b", "notes": "card number in running text", "provenance": {"vendor": "comply",
                 "detector": "regex-pii", "detector_version": "3.1", "route": "default"}}'::jsonb,
               'mapper-2025.09', 'regex-pii', at, '{"channel": "support", "language": "en"}'::jsonb, uuidv7(at - now()),
               '01912345-6789-7abc-8def-0123456789ab', 'https://blob/mappings/record.json', decode(repeat('00', 32), 'hex'),
               1200, 'Cool', at + interval '1 minute', at, at + interval '90 days'
          from (select ${end}::date::timestamptz - n * (interval '1 day' * ${wanted.days}::int / ${wanted.rows}::int)
                       - interval '1 millisecond' as at
                  from generate_series(${from}::int, ${to - 1}::int) n) moments`;
    });
  }
  await core`vacuum (analyze) storage_records`;
  await core`checkpoint`;
}

/** Acme's expired rows. */
export async function countExpired(core: AdminSql): Promise<number> {
  const [row] = await core<{ rows: number }[]>`
    select count(*)::int as rows from storage_records where expires_at <= now()`;
  return row?.rows ?? 0;
}

/** Drops the partitions that `fillRecords` made, with the rows that are left in them. */
export async function dropFilled(core: AdminSql): Promise<void> {
  const partitions = await core<{ name: string }[]>`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'storage_records'::regclass and c.relname ~ '_d[0-9]{8}$'
       and to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - 1`;
  for (const { name } of partitions) await core`drop table ${core(name)}`;
  await core`checkpoint`;
}
