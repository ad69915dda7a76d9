import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const tenantKeys = z.object({ writer: z.string(), reader: z.string(), owner: z.string() });

const seededPerson = z.object({ email: z.string(), password: z.string() });

/** The API keys and the people's passwords that the seed returns. Their text is stored nowhere else. */
const seedResultSchema = z.object({
  tenants: z.object({ acme: tenantKeys, globex: tenantKeys }),
  operator: z.string(),
  /** By what they are: an owner of each tenant, a person of both, an operator. A folder from before people has none. */
  people: z
    .object({
      acme_owner: seededPerson,
      globex_owner: seededPerson,
      both: seededPerson,
      operator: seededPerson,
    })
    .optional(),
});

/** The API keys and people of a seeded stack. */
export type SeedResult = z.output<typeof seedResultSchema>;

const secretsSchema = z.object({
  postgresPassword: z.string(),
  appPassword: z.string(),
  jobsPassword: z.string(),
  brokerKey: z.string(),
  storageKey: z.string(),
  redisPassword: z.string(),
  apiKeyPepper: z.string(),
  keyEncryptionKeys: z.record(z.string(), z.string()),
  stripeSecretKey: z.string(),
  /** The app's endpoint at Stripe's stand-in. Absent until it is made. */
  stripeWebhook: z.object({ endpoint: z.string(), secret: z.string() }).optional(),
  /** Absent until the first seed. */
  seed: seedResultSchema.optional(),
});

/** A folder from before the stand-in for Stripe has no key of it. */
const storedSchema = secretsSchema.partial({ stripeSecretKey: true });

/** Every secret of one local stack. */
export type StackSecrets = z.output<typeof secretsSchema>;

const FILE = 'secrets.json';

function makeStripeKey(): string {
  return `sk_test_${randomBytes(24).toString('hex')}`;
}

function makeSecrets(): StackSecrets {
  const hex = (): string => randomBytes(24).toString('hex');
  const base64 = (bytes: number): string => randomBytes(bytes).toString('base64');
  return {
    postgresPassword: hex(),
    appPassword: hex(),
    jobsPassword: hex(),
    brokerKey: base64(32),
    storageKey: base64(64),
    redisPassword: hex(),
    apiKeyPepper: base64(32),
    keyEncryptionKeys: { '1': base64(32) },
    stripeSecretKey: makeStripeKey(),
  };
}

/** Writes the secrets, all or nothing. Only the folder's owner can read them. */
export function writeSecrets(folder: string, secrets: StackSecrets): void {
  const file = path.join(folder, FILE);
  writeFileSync(`${file}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/**
 * The folder's secrets; new random ones for a folder without data. An older folder gets those that it lacks. Throws when there is
 * data without its secrets.
 */
export function openSecrets(folder: string): StackSecrets {
  const file = path.join(folder, FILE);
  if (existsSync(file)) {
    const stored = storedSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    const secrets = { ...stored, stripeSecretKey: stored.stripeSecretKey ?? makeStripeKey() };
    if (stored.stripeSecretKey === undefined) {
      writeSecrets(folder, secrets);
    }
    return secrets;
  }
  if (existsSync(path.join(folder, 'postgres'))) {
    throw new Error(`${file} is missing, and the data beside it needs its passwords: start with --fresh`);
  }
  const secrets = makeSecrets();
  writeSecrets(folder, secrets);
  return secrets;
}
