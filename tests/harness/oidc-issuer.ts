import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type JWTPayload } from 'jose';
import { afterAll } from 'vitest';
import { newId } from '../../shared/platform/ids/ids.ts';

type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA';

/** The API's name at the issuer. */
export const AUDIENCE = 'api://comply';

async function makeKey(algorithm: Algorithm) {
  const kid = newId();
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' };
  return { kid, algorithm, jwk, privateKey, pem: await exportSPKI(publicKey) };
}

/** Seconds since 1970, some seconds from now. */
export const inSeconds = (seconds: number, now = Date.now()): number => Math.floor(now / 1000) + seconds;

/** Starts an issuer of tokens on loopback, which stops with the test file. */
export async function startIssuer(algorithm: Algorithm = 'RS256') {
  let key = await makeKey(algorithm);
  let published = [key.jwk];
  let isDown = false;
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    if (isDown) {
      response.writeHead(503).end();
      return;
    }
    response.setHeader('content-type', 'application/json');
    const document = { issuer: url, jwks_uri: `${url}/keys` };
    response.end(JSON.stringify(request.url === '/keys' ? { keys: published } : document));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url,
    /** The paths that were asked for. */
    requests,
    get key() {
      return key;
    },
    setDown(down: boolean) {
      isDown = down;
    },
    /** Signs with a new key from now on; the old ones stay published unless `withdraw`. */
    async rotate({ withdraw = false } = {}) {
      key = await makeKey(algorithm);
      published = withdraw ? [key.jwk] : [...published, key.jwk];
    },
    /** A valid token of a person, with other claims or another header. A claim that is undefined is left out. */
    token(claims: JWTPayload = {}, header: Record<string, unknown> = {}): Promise<string> {
      const payload = {
        iss: url,
        aud: AUDIENCE,
        sub: 'ann',
        iat: inSeconds(-10),
        exp: inSeconds(600),
        ...claims,
      };
      return new SignJWT(payload)
        .setProtectedHeader({ alg: algorithm, kid: key.kid, typ: 'JWT', ...header })
        .sign(key.privateKey);
    },
  };
}

/** Text as a part of a token. */
export const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
