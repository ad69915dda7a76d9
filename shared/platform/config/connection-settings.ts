import { X509Certificate } from 'node:crypto';
import { z } from 'zod';

/**
 * Schemas of the settings that contain addresses. An invalid one is refused when the settings are read, with its name and
 * the reason. No message contains its value, because it may contain a password.
 */

/** Whether a URL's host is this machine, so that nothing crosses a network. */
export function isLoopback(url: URL): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i.test(url.hostname);
}

const NOT_A_URL =
  'is not a URL; characters such as / @ : # % in a user name or password must be percent-encoded';

type Refusal = string | undefined;

/** A URL whose parts the drivers can decode: `new URL` accepts `%ss` in a password, but decoding it throws. */
function readUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  try {
    for (const part of [url.username, url.password, url.hostname, url.pathname]) decodeURIComponent(part);
    return url;
  } catch {
    return undefined;
  }
}

/** A URL that passes `check`. `check` returns what is wrong with it. */
function urlSetting(
  example: string,
  schemes: readonly string[],
  check: (url: URL) => Refusal,
): z.ZodType<string> {
  return z.string().superRefine((text, context) => {
    const url = readUrl(text);
    const fault =
      url === undefined
        ? NOT_A_URL
        : !schemes.includes(url.protocol.slice(0, -1)) || url.hostname === ''
          ? `must be like ${example}`
          : check(url);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  });
}

/** The safe values of `sslmode` for a server that is reached over a network. The others would allow a plain connection. */
const SAFE_SSL_MODES = ['require', 'verify-ca', 'verify-full'] as const;

/**
 * A PostgreSQL URL with user and database. Over a network the connection must be encrypted, so `sslmode` must not turn that
 * off.
 */
export const postgresUrl = urlSetting(
  'postgres://user:password@host:5432/database',
  ['postgres', 'postgresql'],
  (url) => {
    if (url.username === '' || url.pathname.length < 2) return 'must name a user and a database';
    // A driver that reads `host` would connect to a host that was not checked here.
    if (url.searchParams.has('host')) return 'must name its host before the path';
    const mode = url.searchParams.get('sslmode');
    if (isLoopback(url) || mode === null || SAFE_SSL_MODES.some((safe) => safe === mode)) return undefined;
    return `must have sslmode ${SAFE_SSL_MODES.join(', ')} or none: the server is not on this machine`;
  },
);

/**
 * How a connection to the server of a PostgreSQL URL is encrypted. Over a network it is always `verify-full`: without a check
 * of the certificate, another machine could answer in the server's place. On this machine, the URL's `sslmode` says; the
 * default is plain, and `require` is encrypted without that check.
 */
export function sslOf(postgresUrl: string): 'require' | 'verify-full' | 'prefer' | false {
  const url = new URL(postgresUrl);
  if (!isLoopback(url)) return 'verify-full';
  switch (url.searchParams.get('sslmode')) {
    case 'require':
      return 'require';
    case 'verify-ca': // the driver cannot check only the authority, so the stricter mode is used
    case 'verify-full':
      return 'verify-full';
    case 'prefer':
    case 'allow':
      return 'prefer';
    case null:
    default:
      return false;
  }
}

/** A Redis URL. It must be `rediss://` if the server is not on this machine. */
export const redisUrl = urlSetting('rediss://:password@host:6380', ['redis', 'rediss'], (url) => {
  // The client takes parameters as its options. Some of them would turn encryption off, or lead to another host.
  if (url.search !== '') return 'must have no parameters';
  return url.protocol === 'redis:' && !isLoopback(url)
    ? 'must begin with rediss://: the server is not on this machine'
    : undefined;
});

/** Certificates of authorities, one after the other in PEM. A line end may also be written as `\n`. */
export const caCertificates: z.ZodType<readonly string[], string> = z.string().transform((text, context) => {
  const plain = text.replaceAll('\\n', '\n');
  const found = plain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const isCertificate = (pem: string): boolean => {
    try {
      const certificate = new X509Certificate(pem);
      return certificate.ca || certificate.checkIssued(certificate);
    } catch {
      return false;
    }
  };
  if (found.length > 0 && !plain.includes('PRIVATE KEY') && found.every(isCertificate)) return found;
  context.addIssue({
    code: 'custom',
    message: 'must be PEM certificates of authorities, and nothing else (never a private key)',
  });
  return z.NEVER;
});

/** An `https://` URL. */
export const httpsUrl = urlSetting('https://host', ['https'], () => undefined);

/** Where clients reach this API. Every link begins with it. `http://` only on this machine. */
export const publicUrl = urlSetting('https://api.example.com', ['http', 'https'], (url) => {
  if (url.protocol === 'http:' && !isLoopback(url)) return 'must begin with https://';
  if (url.search !== '' || url.hash !== '' || url.username !== '')
    return 'must be a scheme, a host and at most a path';
  return undefined;
}).transform((text) => text.replace(/\/+$/, ''));

/** A scheme, a host and perhaps a port: `https://app.example.com`. `http://` only on this machine. */
export const origin = urlSetting('https://app.example.com', ['http', 'https'], (url) => {
  if (url.protocol === 'http:' && !isLoopback(url)) return 'must begin with https://';
  return url.pathname === '/' && url.search === '' && url.hash === '' && url.username === ''
    ? undefined
    : 'must be a scheme and a host, without a path';
}).transform((text) => new URL(text).origin);

/** A comma-separated list. An unset one is empty. */
export function commaList<T extends string>(item: z.ZodType<T>): z.ZodType<readonly T[], string | undefined> {
  return z
    .string()
    .default('')
    .transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    )
    .pipe(z.array(item as z.ZodType<T, string>));
}

/** The parts of `Name=value;Name=value`; undefined if a part has another form. */
function connectionStringParts(text: string): ReadonlyMap<string, string> | undefined {
  const parts = text
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part): [string, string] => {
      const end = Math.max(0, part.indexOf('='));
      return [part.slice(0, end).toLowerCase(), part.slice(end + 1)];
    });
  const read = new Map(parts);
  // Of a name that is there twice, the client may take the other one.
  return parts.every(([name]) => name !== '') && read.size === parts.length ? read : undefined;
}

function connectionString(check: (parts: ReadonlyMap<string, string>) => Refusal): z.ZodType<string> {
  return z.string().superRefine((text, context) => {
    const parts = connectionStringParts(text);
    const fault =
      parts === undefined ? 'must be Name=value pairs, separated by ;, each name once' : check(parts);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  });
}

/** Service Bus: `Endpoint=sb://…` with a shared access key or signature. */
export const serviceBusConnection = connectionString((parts) => {
  const endpoint = readUrl(parts.get('endpoint') ?? '');
  if (endpoint?.protocol !== 'sb:' || endpoint.hostname === '') return 'must have Endpoint=sb://<host>';
  // With it, the client connects without encryption.
  if (parts.get('usedevelopmentemulator')?.toLowerCase() === 'true' && !isLoopback(endpoint))
    return 'must not have UseDevelopmentEmulator: the broker is not on this machine';
  const hasKey = parts.has('sharedaccesskeyname') && parts.has('sharedaccesskey');
  if (hasKey || parts.has('sharedaccesssignature')) return undefined;
  return 'must have SharedAccessKeyName and SharedAccessKey, or SharedAccessSignature';
});

/** Whether a URL is `https://`, or leads to this machine. */
function isPrivate(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url));
}

/** What is wrong with where a blob connection leads. */
function blobAddressFault(parts: ReadonlyMap<string, string>): Refusal {
  const endpoint = parts.get('blobendpoint');
  if (endpoint === undefined) {
    if (!parts.has('accountname')) return 'must have AccountName or BlobEndpoint';
    const protocol = parts.get('defaultendpointsprotocol') ?? 'https';
    return protocol.toLowerCase() === 'https' ? undefined : 'must have DefaultEndpointsProtocol=https';
  }
  const url = readUrl(endpoint);
  if (url === undefined) return 'has a BlobEndpoint that is not a URL';
  return isPrivate(url) ? undefined : 'must have a BlobEndpoint that begins with https://';
}

/** Blob Storage: an account's name or endpoint with a key or a signature. */
export const blobConnection = connectionString((parts) => {
  if (parts.get('usedevelopmentstorage') === 'true') {
    const proxy = parts.get('developmentstorageproxyuri');
    const url = proxy === undefined ? undefined : readUrl(proxy);
    if (proxy === undefined || (url !== undefined && isPrivate(url))) return undefined;
    return 'must have a DevelopmentStorageProxyUri on this machine, or none';
  }
  const fault = blobAddressFault(parts);
  if (fault !== undefined) return fault;
  if ((parts.has('accountname') && parts.has('accountkey')) || parts.has('sharedaccesssignature'))
    return undefined;
  return 'must have AccountName and AccountKey, or SharedAccessSignature';
});

/** Application Insights: a key, and addresses that are `https://`. */
export const insightsConnection = connectionString((parts) => {
  if (!parts.has('instrumentationkey')) return 'must begin with InstrumentationKey=';
  const isOpen = [...parts].some(([name, value]) => {
    const url = name.endsWith('endpoint') ? readUrl(value) : undefined;
    return name.endsWith('endpoint') && (url === undefined || !isPrivate(url));
  });
  return isOpen ? 'must have addresses that begin with https://' : undefined;
});

/** A namespace's host name, without a scheme. */
export const hostName = z
  .string()
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/i, 'must be a host name: <namespace>.servicebus.windows.net');
