import { rolesOf, type IdentityProvider } from '../../../platform/auth/identity-provider.ts';
import { knownPermissions, type Permission } from '../../../platform/auth/permissions.ts';
import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import type { Call } from '../../../platform/call/call.ts';
import { Problem, type Fault } from '../../../platform/call/problem.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { sourceFault, sourceRules } from '../../../platform/outbound/get-json.ts';
import { lockOwnRoles } from '../roles/find-roles.ts';
import { requireHeld } from '../roles/require-held.ts';
import { endProviderRoles } from './provider-roles.ts';

const POINTER = '/config_data/identity_providers';

/** What a new list of providers means. */
export interface ReplacedProviders {
  /** What is wrong with addresses and roles. */
  readonly faults: readonly Fault[];
  /** For the audit trail: the providers that are gone or changed, and how many roles people had from them. */
  readonly details: { readonly providers_ended?: readonly string[]; readonly roles_ended?: number };
}

/** A provider at its place in the new settings. */
interface Placed {
  readonly provider: IdentityProvider;
  readonly pointer: string;
}

/**
 * Checks the new list of a tenant's identity providers against the old one, in the transaction that replaces it, and ends the roles that
 * people had from providers that are gone or changed: the next token brings back what still holds. Whoever adds or changes one
 * needs `users:manage`, and gives no role with a permission that the caller does not hold for good. Every change of a provider counts,
 * because its issuer and its claims decide who gets the roles.
 * @throws Problem 403 for more than the caller may give.
 */
export async function replaceProviders(
  call: Call,
  transaction: TenantTransaction,
  before: readonly IdentityProvider[],
  after: readonly IdentityProvider[],
): Promise<ReplacedProviders> {
  const unchanged = new Set(before.map(textOf));
  const touched = after
    .map((provider, n) => ({ provider, pointer: `${POINTER}/${n}` }))
    .filter(({ provider }) => !unchanged.has(textOf(provider)));
  const faults = touched.length === 0 ? [] : await faultsOf(call, transaction, touched);
  if (faults.length > 0) return { faults, details: {} };
  const kept = new Set(after.map(textOf));
  const gone = before.filter((provider) => !kept.has(textOf(provider))).map(({ name }) => name);
  if (gone.length === 0) return { faults, details: {} };
  const { tenantId } = call.tenant;
  const ended = await endProviderRoles(transaction, tenantId, gone, call.principal.actor, call.now);
  return { faults, details: { providers_ended: gone, roles_ended: ended } };
}

/** Both lists come from the same schema, which puts members in one order. */
function textOf(provider: IdentityProvider): string {
  return JSON.stringify(provider);
}

async function faultsOf(
  call: Call,
  transaction: TenantTransaction,
  touched: readonly Placed[],
): Promise<readonly Fault[]> {
  const { permissions } = call.principal;
  if (!permissions.has('users:manage'))
    throw new Problem('INSUFFICIENT_RBAC', {
      detail: 'The caller lacks the permission users:manage: an identity provider gives people roles.',
    });
  const addresses = touched.flatMap((placed) => faultsOfAddresses(call, placed));
  const named = [...new Set(touched.flatMap(({ provider }) => rolesOf(provider)))];
  await lockOwnRoles(transaction, call.tenant.tenantId, named);
  const rows = await transaction.query<{ role_name: string; permissions: unknown }>(
    `select role_name, permissions from user_roles where tenant_id in ($1, $2) and role_name = any($3::text[])`,
    [call.tenant.tenantId, PLATFORM_TENANT, named],
  );
  const beyond = new Set(
    rows.flatMap((row) =>
      [...knownPermissions(row.permissions)]
        .filter((permission) => !permissions.has(permission))
        .map((permission) => `${row.role_name} (${permission})`),
    ),
  );
  if (beyond.size > 0)
    throw new Problem('INSUFFICIENT_RBAC', {
      detail: `The caller cannot give what it does not have: ${[...beyond].sort().join(', ')}.`,
    });
  // For as long as the settings say so, which is for good: else somebody with a role until tonight could keep it by a claim.
  await requireHeld(call, transaction, permissionsOf(rows), null);
  const known = new Set(rows.map(({ role_name: name }) => name));
  return [...addresses, ...touched.flatMap((placed) => faultsOfRoles(placed, known))];
}

const permissionsOf = (rows: readonly { readonly permissions: unknown }[]): readonly Permission[] =>
  rows.flatMap((row) => [...knownPermissions(row.permissions)]);

function faultsOfAddresses({ services }: Call, { provider, pointer }: Placed): Fault[] {
  const rules = sourceRules(services.settings);
  return (['issuer', 'jwks_uri'] as const).flatMap((name) => {
    const address = provider[name];
    const detail = address === undefined ? undefined : sourceFault(rules, address);
    return detail === undefined ? [] : [{ pointer: `${pointer}/${name}`, detail }];
  });
}

function faultsOfRoles({ provider, pointer }: Placed, known: ReadonlySet<string>): Fault[] {
  return (['role_mapping', 'services'] as const).flatMap((list) =>
    provider[list].flatMap(({ role }, n) =>
      known.has(role) ? [] : [{ pointer: `${pointer}/${list}/${n}/role`, detail: 'is no role' }],
    ),
  );
}
