import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { Settings } from '../config/settings.ts';
import { tlsFaultOf, tlsOfTarget } from '../tls/tls.ts';
import { AddressRefused, checkedLookup, type Resolve } from './checked-lookup.ts';
import { isLoopbackAddress, isPublicAddress } from './public-address.ts';
import { hostOf, LOCAL_NAME } from './target-url.ts';

/** Where documents may be read from. */
export interface SourceRules {
  /** For development: this machine, also without TLS. */
  readonly allowsLoopback: boolean;
  /** Authorities besides those that Node knows. Only for this machine. */
  readonly extraCa: readonly string[];
}

/** The rules of this deployment. */
export function sourceRules(
  settings: Pick<Settings, 'DEPLOYMENT_ENVIRONMENT' | 'EXTRA_CA_CERTS'>,
): SourceRules {
  const allowsLoopback = settings.DEPLOYMENT_ENVIRONMENT === 'local';
  return { allowsLoopback, extraCa: allowsLoopback ? settings.EXTRA_CA_CERTS : [] };
}

/**
 * What is wrong with an address from which a document is to be read; undefined if nothing is. No name is looked up: its addresses are
 * checked with each connection, because they may change.
 */
export function sourceFault(rules: SourceRules, text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be a URL';
  const url = new URL(text);
  const host = hostOf(url);
  const isOwn = rules.allowsLoopback && (host === 'localhost' || isLoopbackAddress(host));
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isOwn)) return 'must begin with https://';
  if (url.username !== '' || url.password !== '') return 'must have no user name and no password';
  if (url.hash !== '') return 'must have no fragment';
  if (isOwn) return undefined;
  if (isIP(host) !== 0) return isPublicAddress(host) ? undefined : 'must lead to a public address';
  return LOCAL_NAME.test(host) ? 'must have the full name of a public host' : undefined;
}

/** What to read. */
export interface Reading {
  readonly url: string;
  readonly rules: SourceRules;
  /** From the look-up to the end of the answer. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly resolve?: Resolve;
}

/** Why there is no document. `refused`: the address is none from which this service reads; no connection was made. */
export type ReadingFailure =
  'refused' | 'unreachable' | 'tls' | 'timeout' | 'status' | 'too_large' | 'not_json';

/** A document that could not be read. It says nothing of what the other side answered. */
export class ReadingFailed extends Error {
  override name = 'ReadingFailed';
  readonly failure: ReadingFailure;
  constructor(failure: ReadingFailure, cause?: unknown) {
    super(failure, { cause });
    this.failure = failure;
  }
}

/**
 * Reads a JSON document from an address that a tenant chose. Only an answer 200 counts, so no redirect is followed.
 * @throws ReadingFailed.
 */
export async function getJson(reading: Reading): Promise<unknown> {
  // Again, although the address was checked when it was stored: the rules may have changed. A socket looks up no address that is
  // written as one, so those are checked here.
  if (sourceFault(reading.rules, reading.url) !== undefined) throw new ReadingFailed('refused');
  const bytes = await exchange(reading).catch((error: unknown) => {
    throw error instanceof ReadingFailed ? error : new ReadingFailed(failureOf(error), error);
  });
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    // Without its cause, which quotes the answer.
    throw new ReadingFailed('not_json');
  }
}

function exchange({ url, rules, timeoutMs, maxBytes, resolve }: Reading): Promise<Buffer> {
  const target = new URL(url);
  const isTls = target.protocol === 'https:';
  return new Promise((done, fail) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const refuse = (error: unknown): void =>
      fail(signal.aborted ? new ReadingFailed('timeout') : asError(error));
    let isAnswered = false;
    const request = (isTls ? httpsRequest : httpRequest)(
      {
        method: 'GET',
        host: hostOf(target),
        port: target.port === '' ? (isTls ? 443 : 80) : Number(target.port),
        path: target.pathname + target.search,
        headers: { accept: 'application/json' },
        // A connection of its own, which nobody else's request can have opened.
        agent: false,
        lookup: checkedLookup(
          (address) => isPublicAddress(address) || (rules.allowsLoopback && isLoopbackAddress(address)),
          resolve,
        ),
        ...(isTls ? tlsOfTarget(url, rules.extraCa) : {}),
        signal,
      },
      (response) => {
        isAnswered = true;
        void readAll(response, maxBytes).then(done, refuse);
      },
    );
    request.on('error', refuse);
    // An answer that asks for another protocol (101) is no response and no error, and then no time limit ends the request either.
    request.on('close', () => {
      if (!isAnswered) refuse(new Error('closed without an answer'));
    });
    request.end();
  });
}

async function readAll(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (response.statusCode !== 200) {
    response.destroy();
    throw new ReadingFailed('status');
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Leaving the loop closes the connection.
    if (bytes > maxBytes) throw new ReadingFailed('too_large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('not an error');
}

function failureOf(error: unknown): ReadingFailure {
  if (error instanceof AddressRefused) return 'refused';
  return tlsFaultOf(error) === undefined ? 'unreachable' : 'tls';
}
