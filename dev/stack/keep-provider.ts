import { withConnection } from '../../tools/migrate/connect.ts';
import { AUDIENCE, DIRECTORY_ID } from '../oidc/server.ts';

/** The provider's name in the tenant's settings. */
const NAME = 'local';

/** What an app registration would have as app roles, and the roles of this service that they give. */
const ROLES = [
  ['Admin', 'admin'],
  ['User', 'user'],
  ['Viewer', 'viewer'],
  ['BillingAdmin', 'billing_admin'],
  ['Auditor', 'auditor'],
] as const;

/** Makes the tenant acme believe the stand-in for Entra ID, at its present address. Its other settings stay. */
export async function keepProvider(coreUrl: string, issuer: string): Promise<void> {
  const provider = {
    name: NAME,
    issuer,
    audience: AUDIENCE,
    tid: DIRECTORY_ID,
    algorithms: ['RS256'],
    role_mapping: ROLES.map(([value, role]) => ({ value, role })),
    subject_claim: 'oid',
  };
  await withConnection(coreUrl, (client) =>
    client.query(
      `update tenant_configs c
          set config_data = jsonb_set(coalesce(c.config_data, '{}'), '{identity_providers}',
                jsonb_build_array($1::jsonb) || coalesce(others.list, '[]')), version = c.version + 1, updated_at = now()
         from (select (select jsonb_agg(p) from jsonb_array_elements(t.config_data -> 'identity_providers') p
                        where p ->> 'name' <> $2) as list
                 from tenant_configs t where t.tenant_id = 'acme') others
        where c.tenant_id = 'acme' and not coalesce(c.config_data -> 'identity_providers' @> jsonb_build_array($1::jsonb), false)`,
      [JSON.stringify(provider), NAME],
    ),
  );
}
