import { z } from 'zod';
import { json, type TenantTransaction } from '../../platform/db/tenant-database.ts';
import { Problem, type Fault } from '../../platform/call/problem.ts';
import type { Call } from '../../platform/call/call.ts';
import { etagOf, isNotModified, requireIfMatch, versionConflict } from '../../platform/http/etag.ts';
import { notModified, ok, type NotModified, type Reply } from '../../platform/call/reply.ts';
import { performWrite } from '../../platform/writes/perform-write.ts';
import { replaceProviders } from '../identity/oidc/replace-providers.ts';
import { faultsOfCallback, keepManagedEndpoint } from '../webhooks/endpoints/managed-endpoint.ts';
import {
  defaultTenantConfig,
  storedTenantConfig,
  tenantConfigSchema,
  type TenantConfig,
} from './tenant-config.ts';

/** `PUT /tenant-config`: all settings. A setting that is left out gets its default. */
export const newTenantConfig = z.strictObject({ config_data: tenantConfigSchema });

/** A tenant's settings, and its place in Azure, which operators set. */
export const tenantConfig = z.object({
  tenant_id: z.string(),
  config_data: tenantConfigSchema,
  azure_subscription_id: z.string().nullable(),
  azure_resource_group: z.string().nullable(),
  azure_region: z.string().nullable(),
  azure_key_vault_url: z.string().nullable(),
  created_at: z.string().nullable(),
  updated_at: z.string().nullable(),
  etag: z.string().describe('The version, for If-Match.'),
});

type ShownConfig = z.output<typeof tenantConfig>;

/** The settings as they are stored. */
type ConfigRow = Omit<ShownConfig, 'config_data' | 'etag'> & {
  readonly config_data: unknown;
  readonly row_version: number;
};

const COLUMNS = `t.tenant_id, c.config_data, c.azure_subscription_id, c.azure_resource_group, c.azure_region,
  c.azure_key_vault_url, c.created_at, c.updated_at, coalesce(c.version, 0) as row_version`;

/** A tenant without stored settings has the defaults, with version 0. */
function present(row: ConfigRow): ShownConfig {
  const { row_version: version, config_data: stored, ...rest } = row;
  return { ...rest, config_data: readStored(stored), etag: etagOf(version) };
}

/** Settings that cannot be parsed read as defaults, so that the tenant can replace them. */
function readStored(stored: unknown): TenantConfig {
  return storedTenantConfig.safeParse(stored ?? {}).data ?? defaultTenantConfig();
}

/** Other domains' check of new settings. Retention has rules that this domain does not know. */
export type SettingsCheck = (
  settings: TenantConfig,
  transaction: Pick<TenantTransaction, 'query'>,
  tenantId: string,
) => Promise<readonly Fault[]>;

/** The calling tenant's settings. */
export async function readTenantConfig(
  call: Call,
  ifNoneMatch: string | null,
): Promise<Reply<200, ShownConfig> | NotModified> {
  const [row] = await call.tenant.statement<ConfigRow>(
    `select r.* from scope, lateral (
       select ${COLUMNS} from tenants t left join tenant_configs c on c.tenant_id = t.tenant_id
        where t.tenant_id = scope.tenant_id offset 0) r`,
  );
  if (row === undefined) throw new Error('the tenant of a credential does not exist');
  const headers = { etag: etagOf(row.row_version) };
  if (isNotModified(ifNoneMatch, row.row_version)) return notModified(headers);
  return ok(present(row), headers);
}

/**
 * Replaces the calling tenant's settings.
 * @throws Problem 400 without `If-Match` or with the faults of `check`, 403 for an identity provider that gives more than the caller
 * holds, 412 when another change was faster.
 */
export async function replaceTenantConfig(
  call: Call,
  body: z.output<typeof newTenantConfig>,
  ifMatch: string | null,
  check: SettingsCheck,
): Promise<Reply<200, ShownConfig>> {
  const matches = requireIfMatch(ifMatch);
  const reply = await performWrite<Reply<200, ShownConfig>>(call, async (transaction) => {
    const { tenantId } = call.tenant;
    // Inserted if it is missing, so that there is a row to lock. A missing row reads as version 0 too.
    await transaction.query(
      `insert into tenant_configs (tenant_id, version, created_at, updated_at) values ($1, 0, $2, $2)
       on conflict (tenant_id) do nothing`,
      [tenantId, call.now],
    );
    const [before] = await transaction.query<{ version: number; config_data: unknown }>(
      `select version, config_data from tenant_configs where tenant_id = $1 for update`,
      [tenantId],
    );
    if (before === undefined || !matches(before.version)) throw versionConflict();
    const { identity_providers: providers } = readStored(before.config_data);
    const replaced = await replaceProviders(
      call,
      transaction,
      providers,
      body.config_data.identity_providers,
    );
    const errors = [
      ...replaced.faults,
      ...faultsOfCallback(call, body.config_data.callback),
      ...(await check(body.config_data, transaction, tenantId)),
    ];
    if (errors.length > 0) throw new Problem('INVALID_REQUEST', { errors });
    const [row] = await transaction.query<ConfigRow>(
      `with c as (
         update tenant_configs set config_data = $2, version = version + 1, updated_at = $3
          where tenant_id = $1 returning *)
       select ${COLUMNS} from c join tenants t on t.tenant_id = c.tenant_id`,
      [tenantId, json(body.config_data), call.now],
    );
    if (row === undefined) throw new Error('a row that is locked was not written');
    await keepManagedEndpoint(call, transaction, body.config_data.callback);
    return {
      reply: ok(present(row), { etag: etagOf(row.row_version) }),
      audit: {
        action: 'tenant_config.replaced',
        resource_type: 'tenant_config',
        resource_id: tenantId,
        details: replaced.details,
      },
    };
  });
  call.services.tenants.forget(call.tenant.tenantId);
  return reply;
}
