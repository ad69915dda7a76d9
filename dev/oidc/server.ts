import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { OAuth2Server } from 'oauth2-mock-server';
import { z } from 'zod';

/** The directory that the stand-in plays. */
export const DIRECTORY_ID = '11111111-2222-4333-8444-555555555555';
/** The app registration of the API in that directory. */
export const AUDIENCE = 'api://comply-ai-local';

/** The issuer's private keys, in the data folder. */
const storedKeys = z.array(z.looseObject({ kty: z.string(), kid: z.string(), alg: z.string() }));

/** What a token request may say besides what OAuth 2.0 defines. */
const tokenRequest = z.looseObject({
  grant_type: z.string(),
  client_id: z.string().optional(),
  username: z.string().optional(),
  roles: z.string().optional(),
  aud: z.string().optional(),
});

/** A running issuer. */
export interface OidcServer {
  readonly issuer: string;
  readonly port: number;
  close(): Promise<void>;
}

/** The same object id for the same name, as a directory has it. */
function objectIdOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The claims of an access token of Entra ID (v2.0), as far as an API looks at them. */
function claimsOf(request: z.output<typeof tokenRequest>): Record<string, unknown> {
  const client = request.client_id ?? 'comply-ai-client';
  const roles = request.roles?.split(/[ ,]+/).filter((role) => role !== '') ?? [];
  const common = { aud: request.aud ?? AUDIENCE, tid: DIRECTORY_ID, ver: '2.0', azp: client, roles };
  if (request.grant_type === 'client_credentials') {
    const oid = objectIdOf(`service ${client}`);
    return { ...common, sub: oid, oid, idtyp: 'app' };
  }
  const name = request.username ?? 'johndoe';
  // The subject is another one for each application; the object id is not.
  const sub = createHash('sha256').update(`${client} ${name}`).digest('base64url');
  return { ...common, sub, oid: objectIdOf(`person ${name}`), idtyp: 'user', scp: 'access_as_user' };
}

/**
 * Starts the stand-in for Entra ID on loopback. Its token endpoint gives a token to whoever asks: `grant_type=password` with `username` for
 * a person, `client_credentials` with `client_id` for a service, and `roles` for the app roles. Its keys survive a restart.
 */
export async function startOidc({ port, folder }: { port: number; folder: string }): Promise<OidcServer> {
  const server = new OAuth2Server();
  await openKeys(server, folder);
  server.service.on('beforeTokenSigning', (token: { payload: object }, request: { body: unknown }) => {
    const asked = tokenRequest.safeParse(request.body);
    if (asked.success) Object.assign(token.payload, claimsOf(asked.data));
  });
  await server.start(port, '127.0.0.1');
  const chosen = server.address().port;
  const issuer = `http://127.0.0.1:${chosen}`;
  server.issuer.url = issuer;
  return { issuer, port: chosen, close: () => server.stop() };
}

async function openKeys(server: OAuth2Server, folder: string): Promise<void> {
  const file = path.join(folder, 'keys.json');
  if (existsSync(file)) {
    for (const key of storedKeys.parse(JSON.parse(readFileSync(file, 'utf8'))))
      await server.issuer.keys.add(key);
    return;
  }
  await server.issuer.keys.generate('RS256');
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, JSON.stringify(server.issuer.keys.toJSON(true)), { mode: 0o600 });
}
