import { z } from 'zod';
import { CONTAINERS, type BlobStore } from '../../platform/blob/blob-store.ts';
import { uuid } from '../../platform/ids/uuid.ts';

// A restored database has an erased person again. A blob that the restore leaves as it is tells that the person was erased. It has ids
// only. Unlike the tombstone of a data key it goes with its tenant, whose own tombstones then tell of everything.

/** In the container of the audit trail's copies, which is immutable in Azure. */
const TOMBSTONES = 'erased-people/';

const personTombstone = z.object({
  schema: z.literal('com.comply-ai.erased-person.v1'),
  tenant_id: z.string(),
  user_id: uuid,
  erasure_id: uuid,
  /** After the last name was gone: a database restored to a later moment has none. */
  erased_at: z.iso.datetime(),
});
/** What says that a person was erased in a tenant. */
export type PersonTombstone = z.output<typeof personTombstone>;

const folderOf = (tenantId: string): string => `${TOMBSTONES}${tenantId}/`;

/** Writes the tombstone of a person's erasure, once. */
export async function writePersonTombstone(
  blobs: BlobStore,
  facts: Omit<PersonTombstone, 'schema' | 'erased_at'>,
  erasedAt: Date,
): Promise<void> {
  const written: PersonTombstone = {
    schema: 'com.comply-ai.erased-person.v1',
    ...facts,
    erased_at: erasedAt.toISOString(),
  };
  await blobs.create(
    CONTAINERS.auditLogs,
    `${folderOf(facts.tenant_id)}${facts.user_id}/${facts.erasure_id}.json`,
    Buffer.from(JSON.stringify(written), 'utf8'),
    { tenant_id: facts.tenant_id },
  );
}

/** The tenants in which persons were erased. */
export async function tenantsWithErasedPeople(blobs: BlobStore): Promise<string[]> {
  const tenants: string[] = [];
  for await (const tenant of blobs.folders(CONTAINERS.auditLogs, TOMBSTONES)) tenants.push(tenant);
  return tenants;
}

/** The clocks of the app, the storage and the databases differ by less. An erasure that is repeated for nothing does no harm. */
const CLOCKS_MS = 60_000;

/**
 * The newest tombstone of each person of a tenant who was erased at a time or later, or shortly before. Older blobs are not read.
 * @throws Error if one cannot be read: nobody may take a person for not erased because of that.
 */
export async function readErasedPeople(
  blobs: BlobStore,
  tenantId: string,
  since: Date,
): Promise<PersonTombstone[]> {
  const newest = new Map<string, PersonTombstone>();
  const from = new Date(since.getTime() - CLOCKS_MS);
  for await (const page of blobs.listWritten(CONTAINERS.auditLogs, folderOf(tenantId)))
    for (const { name, writtenAt } of page) {
      if (writtenAt < from) continue;
      const bytes = await blobs.read(CONTAINERS.auditLogs, name);
      const parsed = personTombstone.safeParse(
        bytes === undefined ? undefined : JSON.parse(bytes.toString('utf8')),
      );
      if (!parsed.success || parsed.data.tenant_id !== tenantId)
        throw new Error(`${name} is no tombstone of a person`);
      const { user_id: userId, erased_at: erasedAt } = parsed.data;
      if (new Date(erasedAt) < from) continue;
      const known = newest.get(userId);
      if (known === undefined || known.erased_at < erasedAt) newest.set(userId, parsed.data);
    }
  return [...newest.values()].sort((a, b) => (a.user_id < b.user_id ? -1 : 1));
}
