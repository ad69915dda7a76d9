import { randomBytes } from 'node:crypto';
import { PLATFORM_TENANT } from '../../shared/platform/auth/principal.ts';
import { PERMISSION_SETS, type Permission } from '../../shared/platform/auth/permissions.ts';
import { readSettings } from '../../shared/platform/config/settings.ts';
import { Problem } from '../../shared/platform/call/problem.ts';
import { seedPerson } from '../../shared/domains/identity/sign-in/seed-person.ts';
import { insertKey } from '../../shared/domains/identity/insert-key.ts';
import { openServices, type Services } from '../../functions/services.ts';
import { addTenant } from '../../shared/domains/tenancy/create-tenant.ts';
import type { SeedResult } from './secrets.ts';
import { seedReferenceData } from '../../tools/seed/reference-data.ts';

/** So high that demos, replays and load tests on a local stack do not reach these limits. */
const RATE_PER_HOUR = 1_000_000;
const RATE_PER_DAY = 10_000_000;

/** The people: an owner of each tenant, a person of both, and an operator. */
const PEOPLE = {
  acme_owner: { email: 'owner@acme.example', firstName: 'Ada', roles: { acme: 'admin' } },
  globex_owner: { email: 'owner@globex.example', firstName: 'Gus', roles: { globex: 'admin' } },
  both: { email: 'both@comply.example', firstName: 'Bo', roles: { acme: 'viewer', globex: 'user' } },
  operator: { email: 'operator@comply.example', firstName: 'Olu', roles: { [PLATFORM_TENANT]: 'operator' } },
} as const;

/** The app's settings, which name the databases to seed. */
export interface SeedOptions {
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * Fills a local stack's databases: the platform's defaults, the tenants acme (professional) and globex (free), their
 * keys, and people. Keys and passwords are only in the result. Safe to repeat after a crash: existing rows stay, keys and passwords
 * are new.
 */
export async function seedStack({ settings }: SeedOptions): Promise<SeedResult> {
  const services = openServices(readSettings({ ...settings }));
  try {
    const now = services.clock.now();
    await services.crossTenant.core.transaction((transaction) => seedReferenceData(transaction));
    await seedTenant(services, { tenant_id: 'acme', name: 'Acme', plan_id: 'professional' }, now);
    await seedTenant(services, { tenant_id: 'globex', name: 'Globex', plan_id: 'free' }, now);
    return await services.crossTenant.core.transaction(async (transaction) => {
      const key = async (
        tenantId: string,
        name: string,
        permissions: readonly Permission[],
      ): Promise<string> => {
        const made = await insertKey(
          services.settings,
          transaction,
          {
            tenantId,
            name,
            permissions,
            rateLimitPerHour: RATE_PER_HOUR,
            rateLimitPerDay: RATE_PER_DAY,
            expiresAt: null,
            createdBy: 'seed',
            makerId: null,
          },
          now,
        );
        return made.credential;
      };
      const keysOf = async (tenantId: string): Promise<SeedResult['tenants']['acme']> => ({
        writer: await key(tenantId, 'writer', PERMISSION_SETS.writer),
        reader: await key(tenantId, 'reader', PERMISSION_SETS.reader),
        owner: await key(tenantId, 'owner', PERMISSION_SETS.owner),
      });
      const person = async (name: keyof typeof PEOPLE): Promise<{ email: string; password: string }> => {
        const password = randomBytes(18).toString('base64url');
        await seedPerson(transaction, { ...PEOPLE[name], password }, now);
        return { email: PEOPLE[name].email, password };
      };
      return {
        people: {
          acme_owner: await person('acme_owner'),
          globex_owner: await person('globex_owner'),
          both: await person('both'),
          operator: await person('operator'),
        },
        tenants: { acme: await keysOf('acme'), globex: await keysOf('globex') },
        operator: await key(PLATFORM_TENANT, 'operator', PERMISSION_SETS.operator),
      };
    });
  } finally {
    await services.close();
  }
}

async function seedTenant(
  services: Services,
  tenant: Parameters<typeof addTenant>[2],
  now: Date,
): Promise<void> {
  try {
    await services.crossTenant.core.transaction((transaction) =>
      addTenant(services, transaction, tenant, now),
    );
  } catch (error) {
    // The tenant exists already: an earlier seed was interrupted.
    if (!(error instanceof Problem && error.code === 'CONFLICT')) throw error;
  }
}
