import { describe, expect, test } from 'vitest';
import { sslOf } from './connection-settings.ts';
import { readSettings, SettingsError, type Settings } from './settings.ts';

const KEY = Buffer.alloc(32, 1).toString('base64');
const OTHER_KEY = Buffer.alloc(32, 2).toString('base64');

const database = (role: string, name: string): string => `postgres://${role}:pw@db.example.com:5432/${name}`;
const RIGHT = {
  DEPLOYMENT_ENVIRONMENT: 'prod',
  CORE_DATABASE_URL: database('comply_app', 'core'),
  BILLING_DATABASE_URL: database('comply_app', 'billing'),
  ANALYTICS_DATABASE_URL: database('comply_app', 'analytics'),
  CORE_CROSS_TENANT_DATABASE_URL: database('comply_jobs', 'core'),
  BILLING_CROSS_TENANT_DATABASE_URL: database('comply_jobs', 'billing'),
  ANALYTICS_CROSS_TENANT_DATABASE_URL: database('comply_jobs', 'analytics'),
  SERVICE_BUS_CONNECTION: 'Endpoint=sb://bus.example.com;SharedAccessKeyName=n;SharedAccessKey=k=',
  BLOB_CONNECTION:
    'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=k==;EndpointSuffix=core.windows.net',
  REDIS_URL: 'rediss://:pw@cache.example.com:6380',
  API_KEY_PEPPER: 'p'.repeat(32),
  KEY_ENCRYPTION_KEYS: JSON.stringify({ '1': KEY }),
} as const;

const read = (changed: Readonly<Record<string, string>>): Settings => readSettings({ ...RIGHT, ...changed });

function faultOf(changed: Readonly<Record<string, string>>): SettingsError {
  try {
    read(changed);
  } catch (error) {
    if (error instanceof SettingsError) return error;
  }
  throw new Error('nothing was refused');
}

test('webhooks may go to this machine only in the local environment', () => {
  expect(faultOf({ WEBHOOKS_ALLOW_LOOPBACK: 'true' }).settings).toEqual(['WEBHOOKS_ALLOW_LOOPBACK']);
  const local = read({ WEBHOOKS_ALLOW_LOOPBACK: 'true', DEPLOYMENT_ENVIRONMENT: 'local' });
  expect([local.WEBHOOKS_ALLOW_LOOPBACK, local.WEBHOOKS_PORTS]).toEqual([true, [443]]);
  expect(faultOf({ WEBHOOKS_PORTS: '443,0' }).settings).toEqual(['WEBHOOKS_PORTS']);
});

test('valid settings are accepted', () => {
  expect(read({})).toMatchObject({ DEPLOYMENT_ENVIRONMENT: 'prod' });
});

describe('a broken setting is refused by its name and reason, without its value', () => {
  const SECRET = 'hunter2';
  test.each([
    ['CORE_DATABASE_URL', `postgres://app:${SECRET}#/x@db.example.com/core`, 'percent-encoded'],
    ['CORE_DATABASE_URL', `${SECRET} db.example.com`, 'is not a URL'],
    ['CORE_DATABASE_URL', `mysql://app:${SECRET}@db.example.com/core`, 'must be like postgres://'],
    ['CORE_DATABASE_URL', `postgres://app:${SECRET}@db.example.com`, 'must name a user and a database'],
    ['BILLING_CROSS_TENANT_DATABASE_URL', `postgres://app:${SECRET}@db:70000/billing`, 'is not a URL'],
    ['CORE_DATABASE_URL', `postgres://app:%ss${SECRET}@db.example.com/core`, 'percent-encoded'],
    ['CORE_DATABASE_URL', `postgres://a%p:${SECRET}@db.example.com/core`, 'percent-encoded'],
    ['CORE_DATABASE_URL', `postgres://app:${SECRET}@d%b.example.com/core`, 'percent-encoded'],
    ['CORE_DATABASE_URL', `postgres://app:${SECRET}@db.example.com/co%re`, 'percent-encoded'],
    ['CORE_DATABASE_URL', `postgres://app:${SECRET}@127.0.0.1/core?host=db`, 'host before the path'],
    ['REDIS_URL', `rediss://:%ss${SECRET}@cache.example.com:6380`, 'percent-encoded'],
    ['REDIS_URL', `http://:${SECRET}@cache.example.com`, 'must be like rediss://'],
    ['SERVICE_BUS_CONNECTION', SECRET, 'must be Name=value pairs'],
    ['SERVICE_BUS_CONNECTION', `Endpoint=bus.example.com;SharedAccessKey=${SECRET}`, 'Endpoint=sb://'],
    [
      'SERVICE_BUS_CONNECTION',
      `Endpoint=sb://bus.example.com;SharedAccessKey=${SECRET}`,
      'SharedAccessKeyName',
    ],
    ['BLOB_CONNECTION', `AccountKey=${SECRET}`, 'AccountName or BlobEndpoint'],
    ['BLOB_CONNECTION', `AccountName=a;Key=${SECRET}`, 'AccountKey'],
    ['BLOB_CONNECTION', `AccountName=a;AccountKey=${SECRET};BlobEndpoint=blob`, 'BlobEndpoint'],
    ['API_PUBLIC_URL', `https://${SECRET}@api.example.com`, 'a scheme, a host and at most a path'],
    ['API_PUBLIC_URL', `http://${SECRET}.example.com`, 'must begin with https://'],
    ['KEY_ENCRYPTION_KEYS', `{"1": "${SECRET}"}`, '32 bytes, base64'],
    ['KEY_ENCRYPTION_KEYS', SECRET, 'is not JSON'],
  ])('%s: %s', (name, value, reason) => {
    const { message, settings } = faultOf({ [name]: value });
    expect(settings).toEqual([name]);
    expect(message).toContain(`${name}: `);
    expect(message).toContain(reason);
    expect(message).not.toContain(SECRET);
  });

  test('and all of them at once', () => {
    const { settings } = faultOf({ CORE_DATABASE_URL: 'x', REDIS_URL: 'y', SERVICE_BUS_CONNECTION: 'z' });
    expect(settings).toEqual(['CORE_DATABASE_URL', 'SERVICE_BUS_CONNECTION', 'REDIS_URL']);
  });
});

describe('a connection that crosses a network is encrypted, and its certificate checked', () => {
  const url = (host: string, mode?: string): string =>
    `postgres://app:pw@${host}:5432/core${mode === undefined ? '' : `?sslmode=${mode}`}`;

  test.each([
    ['db.example.com', undefined, 'verify-full'],
    ['db.example.com', 'require', 'verify-full'],
    ['db.example.com', 'verify-ca', 'verify-full'],
    ['db.example.com', 'verify-full', 'verify-full'],
    ['127.0.0.1', undefined, false],
    ['localhost', undefined, false],
    ['[::1]', undefined, false],
    ['localhost', 'require', 'require'],
    ['127.0.0.1', 'disable', false],
    ['127.0.0.1.example.com', undefined, 'verify-full'],
    ['127.0.0.1,db.example.com', undefined, 'verify-full'],
  ] as const)('PostgreSQL at %s with sslmode %s: %s', (host, mode, ssl) => {
    expect(sslOf(read({ CORE_DATABASE_URL: url(host, mode) }).CORE_DATABASE_URL)).toBe(ssl);
  });

  test.each(['disable', 'allow', 'prefer', 'sometimes', ''])('and sslmode %j is refused there', (mode) => {
    expect(faultOf({ CORE_DATABASE_URL: url('db.example.com', mode) }).message).toContain('sslmode');
  });

  test('Redis: rediss:// anywhere, redis:// only on this machine', () => {
    expect(read({ REDIS_URL: 'redis://:pw@127.0.0.1:6379' }).REDIS_URL).toBe('redis://:pw@127.0.0.1:6379');
    expect(faultOf({ REDIS_URL: 'redis://:pw@cache.example.com:6379' }).message).toContain('rediss://');
  });

  // The client takes parameters as options: an empty tls would mean none.
  test.each(['tls=', 'host=cache.example.com', 'path=/tmp/redis.sock'])(
    'Redis: no parameter changes that: %s',
    (parameter) => {
      expect(faultOf({ REDIS_URL: `rediss://:pw@127.0.0.1:6380?${parameter}` }).message).toContain(
        'no parameters',
      );
    },
  );

  test.each([
    [
      'SERVICE_BUS_CONNECTION',
      'Endpoint=sb://bus.example.com;UseDevelopmentEmulator=true',
      'UseDevelopmentEmulator',
    ],
    ['SERVICE_BUS_CONNECTION', 'Endpoint=sb://localhost;endpoint=sb://bus.example.com', 'each name once'],
    ['SERVICE_BUS_CONNECTION', 'Endpoint=http://bus.example.com', 'Endpoint=sb://'],
    ['BLOB_CONNECTION', 'AccountName=a;BlobEndpoint=http://a.blob.example.com', 'https://'],
    ['BLOB_CONNECTION', 'BlobEndpoint=http://a.example.com;SharedAccessSignature=s', 'https://'],
    ['BLOB_CONNECTION', 'DefaultEndpointsProtocol=http;AccountName=a', 'DefaultEndpointsProtocol=https'],
    [
      'BLOB_CONNECTION',
      'UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://blobs.example.com',
      'on this machine',
    ],
    [
      'BLOB_CONNECTION',
      'BlobEndpoint=https://a.example.com;BlobEndpoint=http://a.example.com',
      'each name once',
    ],
    ['BLOB_CONNECTION__blobServiceUri', 'http://a.blob.example.com', 'must be like https://host'],
    ['KEY_VAULT_URL', 'http://vault.example.com', 'must be like https://host'],
    ['STRIPE_API_URL', 'http://stripe.example.com', 'must begin with https://'],
    ['API_PUBLIC_URL', 'http://api.example.com', 'must begin with https://'],
    ['BILLING_RETURN_ORIGINS', 'http://app.example.com', 'must begin with https://'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://collector.example.com', 'must begin with https://'],
    [
      'APPLICATIONINSIGHTS_CONNECTION_STRING',
      'InstrumentationKey=k;IngestionEndpoint=http://ingest.example.com/',
      'https://',
    ],
    [
      'APPLICATIONINSIGHTS_CONNECTION_STRING',
      'IngestionEndpoint=https://ingest.example.com/',
      'InstrumentationKey',
    ],
  ])('%s: not %s', (name, value, reason) => {
    const keys = ';SharedAccessKeyName=n;SharedAccessKey=k=;AccountKey=k==';
    const { message, settings } = faultOf({ [name]: name.endsWith('CONNECTION') ? value + keys : value });
    expect(settings).toContain(name);
    expect(message).toContain(reason);
  });

  test.each([
    [
      'SERVICE_BUS_CONNECTION',
      'Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=n;SharedAccessKey=k=;UseDevelopmentEmulator=true',
    ],
    ['BLOB_CONNECTION', 'AccountName=a;AccountKey=k==;BlobEndpoint=http://127.0.0.1:10000/a'],
    ['BLOB_CONNECTION', 'UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://127.0.0.1:10000'],
    ['BLOB_CONNECTION', 'AccountName=a;AccountKey=k==;BlobEndpoint=https://a.blob.example.com'],
    ['STRIPE_API_URL', 'http://127.0.0.1:12111'],
  ])('%s on this machine may be plain: %s', (name, value) => {
    expect(read({ [name]: value })).toMatchObject({ [name]: value });
  });

  test('Node’s switch that turns every check off is refused in a deployment', () => {
    const off = { NODE_TLS_REJECT_UNAUTHORIZED: '0' };
    expect(faultOf(off).settings).toEqual(['NODE_TLS_REJECT_UNAUTHORIZED']);
    expect(read({ ...off, DEPLOYMENT_ENVIRONMENT: 'local' })).toMatchObject({
      DEPLOYMENT_ENVIRONMENT: 'local',
    });
    expect(read({ NODE_TLS_REJECT_UNAUTHORIZED: '1' })).toMatchObject({ DEPLOYMENT_ENVIRONMENT: 'prod' });
  });
});

describe('the versions of the key-encryption key', () => {
  test.each([
    ['10', '9'],
    ['9', '10'],
    ['b', 'a'],
  ])('use the named version as current (%s, not %s), in any order', (current, other) => {
    const versions = { [current]: KEY, [other]: OTHER_KEY };
    const { KEY_ENCRYPTION_KEYS: keys } = read({
      KEY_ENCRYPTION_KEYS: JSON.stringify({ current, versions }),
    });
    expect(keys?.current).toBe(current);
    expect(keys?.versions.get(current)).toEqual(Buffer.from(KEY, 'base64'));
    expect(keys?.versions.size).toBe(2);
  });

  test('need no current version when there is only one', () => {
    expect(read({ KEY_ENCRYPTION_KEYS: JSON.stringify({ '7': KEY }) }).KEY_ENCRYPTION_KEYS?.current).toBe(
      '7',
    );
    const several = JSON.stringify({ '9': KEY, '10': OTHER_KEY });
    expect(faultOf({ KEY_ENCRYPTION_KEYS: several }).message).toContain('"current"');
  });

  test('contain the current one', () => {
    const missing = JSON.stringify({ current: '2', versions: { '1': KEY } });
    expect(faultOf({ KEY_ENCRYPTION_KEYS: missing }).message).toContain('current');
  });
});

describe('the public address', () => {
  test.each([
    [
      { API_PUBLIC_URL: 'https://api.example.com/', WEBSITE_HOSTNAME: 'app.azurewebsites.net' },
      'https://api.example.com',
    ],
    [{ WEBSITE_HOSTNAME: 'app.azurewebsites.net' }, 'https://app.azurewebsites.net'],
    [{ WEBSITE_HOSTNAME: 'localhost:7071' }, 'http://localhost:7071'],
    [{}, undefined],
  ])('is what the settings say, else the host’s own: %j', (given, expected) => {
    expect(read(given).API_PUBLIC_URL).toBe(expected);
  });
});
