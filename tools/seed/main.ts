import { PLATFORM_TENANT } from '../../shared/platform/auth/principal.ts';
import { PERMISSION_SETS } from '../../shared/platform/auth/permissions.ts';
import { readSettings } from '../../shared/platform/config/settings.ts';
import { insertKey } from '../../shared/domains/identity/insert-key.ts';
import { openServices } from '../../functions/services.ts';
import { seedReferenceData } from './reference-data.ts';

const USAGE = `usage: node tools/seed/main.ts [--operator-key NAME]

Writes what all tenants share into migrated databases, also in Azure: the platform's tenant, the taxonomy, and the defaults.
Existing rows stay. With --operator-key it also makes an operator's key of that name and prints it. Use this first key with
POST /api/v1/platform/tenants to make tenants. Reads the app's settings from the environment.`;

/** The same as the defaults of a tenant's keys: an operator is a person or a script, and sends few requests. */
const RATE_PER_HOUR = 1000;
const RATE_PER_DAY = 10_000;

async function main(args: readonly string[]): Promise<void> {
  const [flag, name, ...rest] = args;
  const wantsKey = flag === '--operator-key' && name !== undefined && name.length > 0;
  if ((args.length > 0 && !wantsKey) || rest.length > 0) {
    process.stderr.write(`${USAGE}\n`);
    process.exitCode = 2;
    return;
  }
  const services = openServices(readSettings());
  try {
    const credential = await services.crossTenant.core.transaction(async (transaction) => {
      await seedReferenceData(transaction);
      if (!wantsKey) return undefined;
      const key = {
        tenantId: PLATFORM_TENANT,
        name,
        permissions: PERMISSION_SETS.operator,
        rateLimitPerHour: RATE_PER_HOUR,
        rateLimitPerDay: RATE_PER_DAY,
        expiresAt: null,
        createdBy: 'seed',
        makerId: null,
      };
      return (await insertKey(services.settings, transaction, key, services.clock.now())).credential;
    });
    // Only the key goes to stdout, so that it can be piped into a vault.
    process.stderr.write('The platform’s tenant and the defaults exist.\n');
    if (credential !== undefined) process.stdout.write(`${credential}\n`);
  } finally {
    await services.close();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
