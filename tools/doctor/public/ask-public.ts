import http from 'node:http';
import https from 'node:https';
import { rootCertificates, TLSSocket } from 'node:tls';
import { NotChecked } from '../not-checked.ts';
import type { Patient } from '../patient.ts';

const TIMEOUT_MS = 6_000;
/** More of a body is not read. */
const BODY_MAX = 4_000_000;

/** An answer of the API. */
export interface PublicAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  /** Undefined over plain HTTP. */
  readonly tls: { readonly protocol: string; readonly validTo: Date; readonly issuer: string } | undefined;
}

/** The API's address. @throws NotChecked without one. */
export function publicUrl(patient: Patient): URL {
  if (patient.url === undefined)
    throw new NotChecked('no address of the API is known', 'npm run doctor -- --url https://<your API>');
  return patient.url;
}

/** The authorities that are trusted. Undefined: those of Node. */
function authorities(patient: Patient): string[] | undefined {
  return patient.authorities.length === 0 ? undefined : [...rootCertificates, ...patient.authorities];
}

function tlsOf(socket: unknown): PublicAnswer['tls'] {
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerCertificate();
  const { O: organisation, CN: name } = certificate.issuer;
  return {
    protocol: socket.getProtocol() ?? '',
    validTo: new Date(certificate.valid_to),
    issuer: [organisation ?? name].flat().join(),
  };
}

async function readAnswer(response: http.IncomingMessage): Promise<PublicAnswer> {
  const tls = tlsOf(response.socket);
  const headers = new Headers();
  for (const [name, values] of Object.entries(response.headersDistinct))
    for (const value of values ?? []) headers.append(name, value);
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) {
    body += String(chunk);
    if (body.length > BODY_MAX) throw new Error('the answer is too long');
  }
  return { status: response.statusCode ?? 0, headers, body, tls };
}

/**
 * One GET to the API, or to another address. Redirections are not followed. @throws what the connection throws: an untrusted or
 * expired certificate too.
 */
export function askPublic(
  patient: Patient,
  path: string,
  at: URL = publicUrl(patient),
): Promise<PublicAnswer> {
  const url = new URL(path, at);
  const ca = authorities(patient);
  const options = {
    timeout: TIMEOUT_MS,
    agent: false,
    headers: { accept: 'application/json', 'user-agent': 'comply-doctor' },
    ...(ca === undefined ? {} : { ca }),
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).get(url, options, (response) => {
      readAnswer(response).then(resolve, (error: unknown) => {
        request.destroy();
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    request.on('error', reject);
  });
}
