import { createHash } from 'node:crypto';
import { z } from 'zod';
import { CONTAINERS, type BlobStore } from '../../../platform/blob/blob-store.ts';
import { AUDIT_RECORDED, newEvent, type AuditData } from '../../../platform/bus/events.ts';
import type { CallServices } from '../../../platform/call/call.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { uuid } from '../../../platform/ids/uuid.ts';
import { auditEventId } from '../../../platform/writes/event-cause.ts';
import { addToOutbox, newEntry } from '../../../platform/writes/outbox.ts';
import { deleteAfter, firstCheck } from '../../retention/tiers.ts';
import { partitionDaysOfAll } from '../record-columns.ts';

/** The folder of the archived records, with one folder for each tenant. */
const FOLDER = 'mappings/';

/** The tenants that have blobs of records. */
export async function tenantsWithBlobs(blobs: BlobStore): Promise<string[]> {
  const tenants: string[] = [];
  for await (const tenant of blobs.folders(CONTAINERS.records, FOLDER)) tenants.push(tenant);
  return tenants;
}

/** A blob that the database does not have like this. */
export interface UnknownBlob {
  readonly name: string;
  readonly recordId: string;
  /** `unmarked`: its record is not marked as archived. `unrecorded`: there is no record, and `ops.blobs` does not have it. */
  readonly is: 'unmarked' | 'unrecorded';
}

const NAMES = recordset({ name: 'text', record_id: 'uuid' });

/** Compares the blobs of a tenant's records of one UTC day (`YYYY-MM-DD`) with the database. Reads no bytes. */
export async function* compareBlobs(
  { blobs, core }: { readonly blobs: BlobStore; readonly core: CrossTenantDatabase },
  tenantId: string,
  day: string,
): AsyncIterable<{ readonly listed: number; readonly unknown: readonly UnknownBlob[] }> {
  const prefix = `${FOLDER}${tenantId}/${day.replaceAll('-', '/')}/`;
  for await (const names of blobs.list(CONTAINERS.records, prefix)) {
    const found = names.flatMap((name) => {
      const id = uuid.safeParse(name.slice(prefix.length).replace(/\.json$/, ''));
      return id.success ? [{ name, record_id: id.data }] : [];
    });
    yield { listed: names.length, unknown: await unknownOf(core, tenantId, found) };
  }
}

async function unknownOf(
  core: CrossTenantDatabase,
  tenantId: string,
  found: readonly { readonly name: string; readonly record_id: string }[],
): Promise<UnknownBlob[]> {
  if (found.length === 0) return [];
  const rows = await core.query<{ name: string; record_id: string; exists: boolean }>(
    `select n.name, n.record_id, r.id is not null as exists
       from ${NAMES.from('n', 4)}
       left join lateral (
         select id, archived_at from storage_records r
          where r.tenant_id = $1 and r.id = n.record_id and ($3::date[] is null or r.partition_day = any($3::date[])) offset 0) r on true
      where r.archived_at is null
        and (r.id is not null or not exists (
          select from ops.blobs b where b.tenant_id = $1 and b.container_name = $2 and b.blob_name = n.name))`,
    [
      tenantId,
      CONTAINERS.records,
      partitionDaysOfAll(found.map(({ record_id }) => record_id)),
      ...NAMES.parameters(found),
    ],
    { prepare: false },
  );
  return rows.map(({ name, record_id: recordId, exists }) => ({
    name,
    recordId,
    is: exists ? 'unmarked' : 'unrecorded',
  }));
}

/** The fields of an archived document that tell where it belongs. */
const documentFacts = z.object({
  id: uuid,
  tenant_id: z.string(),
  created_at: z.coerce.date(),
  provenance: z.object({ source_id: uuid }),
});

/** A blob without a record. */
export interface AdoptedBlob {
  readonly name: string;
  readonly recordId: string;
  /** The mapping that the record was made from. */
  readonly mappingId: string;
  readonly createdAt: Date;
}

/**
 * Adds a blob without a record to `ops.blobs`, so that it is compared, cools down, can be held by its mapping's id, and is deleted at
 * the end of its retention like any other. The tenant's audit trail says so. Safe to repeat. Undefined if it is no document of the
 * tenant's.
 */
export async function adoptBlob(
  services: Pick<CallServices, 'crossTenant' | 'publisher' | 'blobs'>,
  tenantId: string,
  name: string,
  options: { readonly actor: string; readonly now: Date; readonly write: boolean },
): Promise<AdoptedBlob | undefined> {
  const bytes = await services.blobs.read(CONTAINERS.records, name);
  const facts = documentFacts.safeParse(bytes === undefined ? undefined : JSON.parse(bytes.toString('utf8')));
  if (bytes === undefined || !facts.success || facts.data.tenant_id !== tenantId) return undefined;
  const { id: recordId, created_at: createdAt, provenance } = facts.data;
  const adopted = { name, recordId, mappingId: provenance.source_id, createdAt };
  if (options.write) await bookAdopted(services, tenantId, adopted, bytes, options);
  return adopted;
}

async function bookAdopted(
  { crossTenant, publisher }: Pick<CallServices, 'crossTenant' | 'publisher'>,
  tenantId: string,
  blob: AdoptedBlob,
  bytes: Buffer,
  { actor, now }: { readonly actor: string; readonly now: Date },
): Promise<void> {
  const sha256 = createHash('sha256').update(bytes).digest();
  const data: AuditData = {
    tenant_id: tenantId,
    actor,
    action: 'blob.adopted',
    resource_type: 'blob',
    resource_id: `${CONTAINERS.records}/${blob.name}`,
    outcome: 'success',
    details: { record_id: blob.recordId, mapping_id: blob.mappingId, sha256: sha256.toString('hex') },
  };
  const cause = { tenantId, at: now, of: blob.recordId, act: 'adopted' };
  const entry = newEntry(
    'core',
    tenantId,
    [newEvent(AUDIT_RECORDED, data, now, auditEventId(cause, data.action))],
    now,
  );
  const isNew = await crossTenant.core.transaction(async (transaction) => {
    const rows = await transaction.query(
      `insert into ops.blobs (tenant_id, container_name, blob_name, retention_class, access_tier, sha256, bytes, created_at,
         tier_changed_at, next_check_at, delete_after, source_id)
       values ($1, $2, $3, 'mapping_results', 'Hot', $4, $5, $6, $6, $7, $8, $9)
       on conflict (tenant_id, container_name, blob_name) do nothing returning 1 as one`,
      [
        tenantId,
        CONTAINERS.records,
        blob.name,
        sha256,
        bytes.length,
        blob.createdAt,
        firstCheck('mapping_results', now),
        deleteAfter('mapping_results', blob.createdAt),
        blob.mappingId,
      ],
    );
    if (rows.length > 0) await addToOutbox(transaction, [entry]);
    return rows.length > 0;
  });
  if (isNew) publisher.publish(entry);
}
