import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { Fault } from '../../platform/call/problem.ts';
import { pointerPart } from '../../platform/json/pointer.ts';

/** A new label is known to all processes within this time, and at once to the process that wrote it. */
const TTL_MS = 30_000;

/** A label of the canonical taxonomy. */
export interface TaxonomyLabel {
  readonly category: string;
  readonly severity: string;
}

type Labels = ReadonlyMap<string, TaxonomyLabel>;

/** One cache for each database. A process has one database; tests have several. */
let memories = new WeakMap<CrossTenantDatabase, SingleFlightCache<Labels>>();

/** The active labels of the taxonomy, by name. The platform's table: the same for every tenant. */
export function knownLabels(database: CrossTenantDatabase): Labels | Promise<Labels> {
  let memory = memories.get(database);
  if (memory === undefined) {
    memory = new SingleFlightCache({ ttlMs: TTL_MS, max: 1 });
    memories.set(database, memory);
  }
  return memory.find('', async () => {
    const rows = await database.query<{ label: string; category: string; severity: string }>(
      `select label, category, severity from taxonomy_labels where is_active order by taxonomy_version`,
    );
    return new Map(rows.map((row) => [row.label, { category: row.category, severity: row.severity }]));
  });
}

/** Call this after the taxonomy is changed. */
export function forgetLabels(): void {
  memories = new WeakMap();
}

/** Faults for each unknown label, and for each score of an unknown label. */
export function labelFaults(
  labels: ReadonlyMap<string, TaxonomyLabel>,
  response: { readonly taxonomy: readonly string[]; readonly scores: Readonly<Record<string, number>> },
  root: string,
): Fault[] {
  const detail = 'is not a label of the taxonomy';
  return [
    ...response.taxonomy.flatMap((label, n) =>
      labels.has(label) ? [] : [{ pointer: `${root}/taxonomy/${n}`, detail }],
    ),
    ...Object.keys(response.scores).flatMap((label) =>
      labels.has(label) ? [] : [{ pointer: `${root}/scores/${pointerPart(label)}`, detail }],
    ),
  ];
}
