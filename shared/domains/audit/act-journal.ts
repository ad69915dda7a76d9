import { z } from 'zod';
import { CONTAINERS, type BlobStore } from '../../platform/blob/blob-store.ts';
import { inParallel } from '../../platform/blob/in-parallel.ts';
import type { AuditData } from '../../platform/bus/events.ts';
import { utcDay } from '../../platform/time/clock.ts';

// A second copy of the few entries whose loss is dangerous: who may enter, what must not be deleted. A restored database has lost the
// acts and their entries together. The copies are in the blob storage, which a restore of a database leaves as it is.

/** What is copied: an action, or all acts on a kind of thing (the part of their actions before the dot). */
const JOURNALED = new Set([
  'api_key',
  'legal_hold',
  'data_retention_policy',
  'tenant_config',
  'tenant.created',
  'tenant.suspended',
  'tenant.reactivated',
  'tenant.offboarding_began',
  'tenant.offboarding_undone',
]);
/** Uploads and downloads at once. */
const AT_ONCE = 8;

/** Whether an entry is copied: only acts that succeeded. */
export function isJournaled({ action, outcome }: Pick<AuditData, 'action' | 'outcome'>): boolean {
  return outcome === 'success' && (JOURNALED.has(action) || JOURNALED.has(action.split('.')[0] ?? ''));
}

/** An entry to copy. */
interface JournalEntry {
  readonly tenant_id: string;
  readonly id: string;
  /** RFC 3339. */
  readonly created_at: string;
  /** The entry's canonical JSON, as its hash covers it. */
  readonly canonical: string;
}

const folderOf = (tenantId: string, day: string): string => `audit/${tenantId}/${day.replaceAll('-', '/')}/`;

/** Copies entries to blobs, each once. A copy is never overwritten. @throws when the blob storage is unavailable. */
export async function journalActs(blobs: BlobStore, entries: readonly JournalEntry[]): Promise<void> {
  await inParallel(entries, AT_ONCE, ({ tenant_id, id, created_at, canonical }) =>
    blobs.create(
      CONTAINERS.auditLogs,
      `${folderOf(tenant_id, utcDay(new Date(created_at)))}${id}.json`,
      Buffer.from(canonical, 'utf8'),
      { tenant_id },
    ),
  );
}

const journaledAct = z.object({
  tenant_id: z.string(),
  event_source: z.string(),
  event_id: z.string(),
  created_at: z.string(),
  actor: z.string().nullable(),
  user_id: z.string().nullable(),
  action: z.string(),
  resource_type: z.string(),
  resource_id: z.string().nullable(),
  details: z.record(z.string(), z.unknown()),
  ip_address: z.string().nullable(),
  user_agent: z.string().nullable(),
  trace_id: z.string().nullable(),
});
/** An act, as its copy has it. */
export type JournaledAct = z.output<typeof journaledAct>;

/** Reads a tenant's copies of some UTC days (`YYYY-MM-DD`), in the order of their acts. */
export async function readActs(
  blobs: BlobStore,
  tenantId: string,
  days: readonly string[],
): Promise<JournaledAct[]> {
  const names: string[] = [];
  for (const day of days)
    for await (const page of blobs.list(CONTAINERS.auditLogs, folderOf(tenantId, day))) names.push(...page);
  const acts = await inParallel(names, AT_ONCE, async (name) => {
    const bytes = await blobs.read(CONTAINERS.auditLogs, name);
    const act = journaledAct.safeParse(bytes === undefined ? undefined : JSON.parse(bytes.toString('utf8')));
    return act.success && act.data.tenant_id === tenantId ? [act.data] : [];
  });
  return acts.flat().sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
}

/** The tenants that have copies. */
export async function tenantsWithActs(blobs: BlobStore): Promise<string[]> {
  const tenants: string[] = [];
  for await (const tenant of blobs.folders(CONTAINERS.auditLogs, 'audit/')) tenants.push(tenant);
  return tenants;
}
