import type { Attributes, Secrets, StoredVersion } from './secrets.ts';

/** An answer of the vault. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request to the vault whose token was accepted. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
  /** `https://<vault>`, for ids. */
  readonly origin: string;
}

const PAGE = 25;

/** The error of a status, in the vault's words. `inner`: its inner code. */
export function refusal(status: number, code: string, message: string, inner?: string): Answer {
  const innererror = inner === undefined ? {} : { innererror: { code: inner } };
  return { status, body: { error: { code, message, ...innererror } } };
}

const notFound = (name: string): Answer =>
  refusal(
    404,
    'SecretNotFound',
    `A secret with (name/id) ${name} was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command.`,
  );

function attributesOf(one: StoredVersion) {
  return {
    enabled: one.enabled,
    created: one.created,
    updated: one.updated,
    ...(one.notBefore === undefined ? {} : { nbf: one.notBefore }),
    ...(one.expires === undefined ? {} : { exp: one.expires }),
    recoveryLevel: 'Recoverable+Purgeable',
    recoverableDays: 90,
  };
}

function itemOf(origin: string, name: string, one: StoredVersion) {
  return {
    id: `${origin}/secrets/${name}/${one.version}`,
    attributes: attributesOf(one),
    ...(one.contentType === undefined ? {} : { contentType: one.contentType }),
  };
}

const bundleOf = (origin: string, name: string, one: StoredVersion) => ({
  ...itemOf(origin, name, one),
  value: one.value,
});

/** What the vault answers, by its REST reference (secrets, 7.x). */
export function answerVault(secrets: Secrets, asked: Asked): Answer {
  if (!asked.query.has('api-version'))
    return refusal(400, 'MissingApiVersionParameter', 'The api-version query parameter is required.');
  const [kind = '', name = '', version = ''] = asked.path.split('/').filter((part) => part !== '');
  if (name === '') return refusal(400, 'BadParameter', 'The request has no name.');
  if (kind === 'deletedsecrets') return answerDeleted(secrets, asked, name, version);
  if (kind !== 'secrets') return refusal(404, 'NotFound', 'The path is not known.');
  switch (asked.method) {
    case 'GET':
      return version === 'versions'
        ? listVersions(secrets, asked, name)
        : readSecret(secrets, asked, name, version);
    case 'PUT':
      return setSecret(secrets, asked, name);
    case 'PATCH':
      return changeSecret(secrets, asked, name, version);
    case 'DELETE':
      return removeSecret(secrets, asked, name);
    default:
      return refusal(405, 'MethodNotAllowed', 'The method is not allowed.');
  }
}

function readSecret(secrets: Secrets, { origin }: Asked, name: string, version: string): Answer {
  const found = secrets.find(name, version === '' ? undefined : version);
  if (found === undefined) return notFound(version === '' ? name : `${name}/${version}`);
  if (!found.enabled)
    return refusal(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', 'SecretDisabled');
  if (found.notBefore !== undefined && found.notBefore > secrets.seconds)
    return refusal(
      403,
      'Forbidden',
      'Operation get is not allowed on a secret that is not yet valid.',
      'SecretNotYetValid',
    );
  return { status: 200, body: bundleOf(origin, name, found) };
}

/** A page of the versions. A secret that does not exist has none. */
function listVersions(secrets: Secrets, { origin, query }: Asked, name: string): Answer {
  const all = secrets.versions(name);
  const start = Number(query.get('$skiptoken') ?? 0);
  const limit = Math.min(PAGE, Number(query.get('maxresults') ?? PAGE));
  const next = start + limit;
  const link = `${origin}/secrets/${name}/versions?api-version=${query.get('api-version')}&$skiptoken=${next}&maxresults=${limit}`;
  return {
    status: 200,
    body: {
      value: all.slice(start, next).map((one) => itemOf(origin, name, one)),
      nextLink: next < all.length ? link : null,
    },
  };
}

function setSecret(secrets: Secrets, { origin, body }: Asked, name: string): Answer {
  const { value, attributes, contentType } = body as {
    value?: string;
    attributes?: Attributes;
    contentType?: string;
  };
  if (typeof value !== 'string') return refusal(400, 'BadParameter', 'The value is missing.');
  const added = secrets.set(name, value, attributes, contentType);
  if (added === undefined)
    return refusal(
      409,
      'Conflict',
      `Secret ${name} is currently in a deleted but recoverable state, and its name cannot be reused.`,
      'ObjectIsDeletedButRecoverable',
    );
  return { status: 200, body: bundleOf(origin, name, added) };
}

function changeSecret(secrets: Secrets, { origin, body }: Asked, name: string, version: string): Answer {
  const changed = secrets.change(name, version, body['attributes'] ?? {});
  return changed === undefined
    ? notFound(`${name}/${version}`)
    : { status: 200, body: itemOf(origin, name, changed) };
}

function removeSecret(secrets: Secrets, { origin }: Asked, name: string): Answer {
  const removed = secrets.remove(name);
  return removed === undefined ? notFound(name) : deletedBundle(secrets, origin, name);
}

function deletedBundle(secrets: Secrets, origin: string, name: string): Answer {
  const found = secrets.findRemoved(name);
  if (found === undefined)
    return refusal(404, 'SecretNotFound', `Deleted Secret not found: ${name}`, 'SecretNotFound');
  return {
    status: 200,
    body: {
      ...itemOf(origin, name, found.version),
      recoveryId: `${origin}/deletedsecrets/${name}`,
      deletedDate: found.deleted,
      scheduledPurgeDate: found.deleted + 90 * 86_400,
    },
  };
}

function answerDeleted(secrets: Secrets, asked: Asked, name: string, action: string): Answer {
  if (asked.method === 'GET' && action === '') return deletedBundle(secrets, asked.origin, name);
  if (asked.method === 'POST' && action === 'recover') {
    const back = secrets.recover(name);
    return back === undefined ? notFound(name) : { status: 200, body: itemOf(asked.origin, name, back) };
  }
  return refusal(405, 'MethodNotAllowed', 'The method is not allowed.');
}
