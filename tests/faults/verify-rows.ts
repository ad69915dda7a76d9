import type { Disagreements } from './disagreements.ts';
import type { FaultStack } from './fault-stack.ts';
import { groupBy } from './group-by.ts';
import type { Ledger, Write } from './ledger.ts';
import { RESULTS_EACH } from './traffic.ts';

/** A stored request with its related rows. */
export interface StoredRow {
  readonly tenant_id: string;
  readonly request_id: string;
  readonly marker: string | null;
  readonly kind: 'mapping' | 'orchestration' | 'analysis';
  readonly status: string;
  /** Of a completed mapping. */
  readonly record_id: string | null;
  readonly responses: number;
  readonly records: number;
  readonly results: number;
}

/** Every request in the core database. */
export async function readRows({ sql }: Pick<FaultStack, 'sql'>): Promise<StoredRow[]> {
  return sql.core<StoredRow[]>`
    select tenant_id, request_id, metadata->>'ledger' as marker, 'mapping' as kind, status,
           (select record_id from mapper_responses s where s.tenant_id = r.tenant_id and s.request_id = r.request_id),
           (select count(*)::int from mapper_responses s
             where s.tenant_id = r.tenant_id and s.request_id = r.request_id) as responses,
           coalesce(stored.records, 0) as records, 0 as results
      from mapper_requests r
      left join (select tenant_id as t, source_id, count(*)::int as records from storage_records group by 1, 2) stored
        on stored.t = r.tenant_id and stored.source_id = r.request_id
    union all
    select tenant_id, request_id, metadata->>'ledger', 'orchestration', status, null,
           (select count(*)::int from orchestration_responses s
             where s.tenant_id = r.tenant_id and s.request_id = r.request_id), 0,
           (select count(*)::int from detector_results d where d.tenant_id = r.tenant_id and d.request_id = r.request_id)
      from orchestration_requests r
    union all
    select tenant_id, request_id, metadata->>'ledger', 'analysis', status, null,
           (select count(*)::int from analysis_responses s
             where s.tenant_id = r.tenant_id and s.request_id = r.request_id), 0, 0
      from analysis_requests r`;
}

/** Checks that every 2xx is stored completely and once, and that nothing else is stored. */
export function checkRows(found: Disagreements, ledger: Ledger, rows: readonly StoredRow[]): void {
  const byMarker = groupBy(rows, (row) => row.marker ?? '');
  const byRequest = new Map(rows.map((row) => [row.request_id, row]));
  const markers = new Set(ledger.writes.map((write) => write.marker));
  for (const row of rows) {
    found.check(row.marker !== null && markers.has(row.marker), () => `${row.request_id} was sent by nobody`);
    checkWhole(found, row);
  }
  for (const write of ledger.writes) {
    if (write.kind === 'completion') checkCompletion(found, write, byRequest.get(write.marker));
    else checkWrite(found, write, byMarker.get(write.marker) ?? []);
  }
}

function checkWrite(found: Disagreements, write: Write, rows: readonly StoredRow[]): void {
  const name = `${write.kind} ${write.marker} of ${write.tenantId}`;
  const answered = write.requestId !== undefined;
  found.check(answered || !write.repeatable, () => `${name} was repeated and never had its 2xx`);
  found.check(rows.length <= 1, () => `${name} is there ${rows.length} times`);
  found.check(!answered || rows.length > 0, () => `${name} was answered with a 2xx and is not there`);
  const [row] = rows;
  if (row === undefined) return;
  found.check(row.tenant_id === write.tenantId, () => `${name} is ${row.tenant_id}'s`);
  found.check(
    !answered || row.request_id === write.requestId,
    () => `${name} was answered as ${String(write.requestId)} and is ${row.request_id}`,
  );
  found.check(
    write.recordId === undefined || row.record_id === write.recordId,
    () => `${name} was answered with record ${String(write.recordId)} and has ${String(row.record_id)}`,
  );
}

function checkCompletion(found: Disagreements, write: Write, row: StoredRow | undefined): void {
  const name = `completion of ${write.marker}`;
  found.check(row !== undefined, () => `${name}: there is no such mapping`);
  found.check(write.requestId !== undefined, () => `${name} was repeated and never had its 2xx`);
  if (row === undefined || write.requestId === undefined) return;
  found.equal(`${name}: status`, row.status, 'completed');
  found.equal(`${name}: record`, row.record_id, write.recordId);
}

/** Checks that a request and its related rows were committed together or not at all. */
function checkWhole(found: Disagreements, row: StoredRow): void {
  const name = `${row.kind} ${row.request_id}`;
  const completed = row.status === 'completed' ? 1 : 0;
  found.equal(`${name}: responses`, row.responses, completed);
  if (row.kind === 'mapping') found.equal(`${name}: records`, row.records, completed);
  if (row.kind === 'orchestration') found.equal(`${name}: detector results`, row.results, RESULTS_EACH);
}
