import { z } from 'zod';
import { modelConfigKey } from '../../platform/cache/keys.ts';
import type { Call } from '../../platform/call/call.ts';
import { etagOf } from '../../platform/http/etag.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import { performPlatformWrite } from '../../platform/writes/perform-write.ts';
import { flag, optionalText, slug } from '../../platform/resources/field-schemas.ts';
import { noSuch, presentRow, type ShownRow } from '../../platform/resources/read-resource.ts';
import { declareResource, type ResourceRow } from '../../platform/resources/resource.ts';
import { resourceSchemas } from '../../platform/resources/resource-schemas.ts';
import { selectList } from '../../platform/resources/resource-sql.ts';
import { uuid } from '../../platform/ids/uuid.ts';

const modelVersion = z.strictObject({
  model_name: slug,
  version: slug,
  model_path: z.string().min(1).max(1000).describe('Where its artifacts are, e.g. below `models/`.'),
  azure_blob_url: z
    .url({ protocol: /^https?$/ })
    .max(500)
    .nullable()
    .default(null),
  azure_container_name: optionalText(100),
  checksum: z
    .string()
    .regex(/^(sha256:)?[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex')
    .nullable()
    .default(null),
  azure_region: z.string().min(1).max(50).default('eastus'),
});

const nameOf = (row: ResourceRow): { name: string; version: string } => ({
  name: String(row['model_name']),
  version: String(row['version']),
});

async function forgetModel(call: Call, row: ResourceRow): Promise<void> {
  const { name, version } = nameOf(row);
  await call.services.cache.drop(modelConfigKey(name, version));
}

/** Versions of the models that map and analyse. Never deleted: records refer to them. One version of a model is active. */
export const modelVersions = declareResource({
  name: 'model-versions',
  one: 'model version',
  description:
    'The models that map and analyse, version by version. A response names the version that made it.',
  table: 'model_versions',
  idColumn: 'id',
  scope: 'platform',
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  permissions: { read: 'config:read', write: 'platform:operate' },
  body: modelVersion,
  columns: { version: 'model_version' },
  readOnly: { is_active: z.boolean(), activated_at: z.string().nullable() },
  filters: { model_name: slug, version: slug, is_active: flag },
  conflicts: { model_versions_model_name_model_version_key: 'The model has this version already.' },
  forget: forgetModel,
  sample: ({ unique }) => ({ model_name: unique, version: '1.0.0', model_path: `models/${unique}/1.0.0` }),
});

/** `{id}` of a model version in a path. */
export const modelVersionParams = z.object({ id: uuid });

/**
 * Activates a version and deactivates its model's previous one, in one transaction: readers always see exactly one.
 * @throws Problem 404.
 */
export async function activateModelVersion(call: Call, id: string): Promise<Reply<200, ShownRow>> {
  const changed: ResourceRow[] = [];
  const reply = await performPlatformWrite<Reply<200, ShownRow>>(call, async (transaction) => {
    // Locks all versions of the model in one order, so that two activations at once do not deadlock.
    await transaction.query(
      `select from model_versions
        where model_name = (select model_name from model_versions where id = $1) order by id for update`,
      [id],
    );
    const [target] = await transaction.query<ResourceRow>(
      `select ${selectList(modelVersions)} from model_versions t where t.id = $1`,
      [id],
    );
    if (target === undefined) throw noSuch(modelVersions);
    const { name, version } = nameOf(target);
    // The previous one first: the unique index on the active version is checked row by row.
    const before = await transaction.query<ResourceRow>(
      `update model_versions t set is_active = false, version = t.version + 1, updated_at = $3
        where t.model_name = $1 and t.is_active and t.id <> $2 returning ${selectList(modelVersions)}`,
      [name, id, call.now],
    );
    const [after] = await transaction.query<ResourceRow>(
      `update model_versions t set is_active = true, activated_at = $2, version = t.version + 1, updated_at = $2
        where t.id = $1 and not t.is_active returning ${selectList(modelVersions)}`,
      [id, call.now],
    );
    const row = after ?? target;
    changed.push(...before, row);
    return {
      reply: ok(presentRow(row), { etag: etagOf(row.row_version) }),
      audit: {
        action: 'model_version.activated',
        resource_type: 'model_version',
        resource_id: id,
        details: { model_name: name, version, replaced: before.map((other) => nameOf(other).version) },
      },
    };
  });
  for (const row of changed) await forgetModel(call, row);
  return reply;
}

/** `{model_name}` and `{version}` in a path. */
export const modelNameParams = z.object({ model_name: slug, version: slug });

/** A change by another process is seen within this time. */
const CACHE_TTL_S = 300;

const { row: modelSchema } = resourceSchemas(modelVersions);

/**
 * A model version by its name, read through the cache: services read it at every start.
 * @throws Problem 404.
 */
export async function readModelByName(
  call: Call,
  name: string,
  version: string,
): Promise<Reply<200, ShownRow>> {
  const key = modelConfigKey(name, version);
  const cached = await call.services.cache.read(key, modelSchema);
  if (cached !== undefined) return ok(cached, { etag: String(cached['etag']) });
  const [row] = await call.tenant.statement<ResourceRow>(
    `select r.* from scope, lateral (
       select ${selectList(modelVersions)} from model_versions t where t.model_name = $2 and t.model_version = $3 offset 0) r`,
    [name, version],
  );
  if (row === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such model version.' });
  const shown = presentRow(row);
  await call.services.cache.write(key, shown, CACHE_TTL_S);
  return ok(shown, { etag: etagOf(row.row_version) });
}
