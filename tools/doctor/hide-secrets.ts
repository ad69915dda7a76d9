/** Settings whose values anyone may see. All others count as secret as a whole, or in parts. */
const PLAIN = new Set([
  'DEPLOYMENT_ENVIRONMENT',
  'DATABASE_POOL_MAX',
  'DATABASE_CROSS_TENANT_POOL_MAX',
  'DATABASE_PREPARE',
  'DATABASE_AUTH',
  'EXTRA_CA_CERTS',
  'API_PUBLIC_URL',
  'SERVICE_BUS_CONNECTION__fullyQualifiedNamespace',
  'BLOB_CONNECTION__blobServiceUri',
  'REDIS_KEY_PREFIX',
  'KEY_VAULT_URL',
  'KEY_ENCRYPTION_SECRET_NAME',
  'STRIPE_API_URL',
  'BILLING_RETURN_ORIGINS',
  'BILLING_GRACE_DAYS',
  'OFFBOARDING_DAYS',
  'EXPORT_KEEP_DAYS',
  'EXPORT_BLOB_URL',
  'WEBHOOKS_PORTS',
  'WEBHOOKS_ALLOW_LOOPBACK',
  'AZURE_REGION',
  'AZURE_RESOURCE_GROUP',
  'AZURE_SUBSCRIPTION_ID',
]);

/** Shorter texts are not looked for: they would be found in ordinary words. */
const SHORTEST = 6;
/** A value as long as this may be a secret, whatever its setting is called. */
const LONG = 16;

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The parts of a value that are secret. The user, host and database of a URL are not. */
function secretParts(value: string): string[] {
  if (URL.canParse(value)) {
    const url = new URL(value);
    if (url.host !== '')
      return [url.password, decode(url.password), url.searchParams.get('sig') ?? ''].filter(
        (part) => part.length >= SHORTEST,
      );
  }
  const pairs = [...value.matchAll(/(?:^|;)\s*\w*(?:key|signature|password|token)=([^;]+)/gi)];
  const strings = [...value.matchAll(/"([^"]+)"/g)];
  const parts = [...pairs, ...strings].map(([, part = '']) => part);
  return [value, ...value.split(','), ...parts].filter((part) => part.length >= LONG);
}

/**
 * Makes a function that takes all secrets of some settings and connection strings out of a text. The checks do not print any; this
 * is for messages of servers and libraries.
 */
export function secretHider(
  settings: Readonly<Record<string, string>>,
  connections: readonly string[] = [],
): (text: string) => string {
  const values = Object.entries(settings)
    .filter(([name]) => !PLAIN.has(name))
    .map(([, value]) => value);
  const secrets = [...values, ...connections]
    .flatMap(secretParts)
    .toSorted((left, right) => right.length - left.length);
  return (text) => secrets.reduce((hidden, secret) => hidden.replaceAll(secret, '***'), text);
}
