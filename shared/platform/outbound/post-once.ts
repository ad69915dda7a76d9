import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tlsFaultOf, tlsOfTarget } from '../tls/tls.ts';
import { AddressRefused, checkedLookup, type Resolve } from './checked-lookup.ts';
import { hostOf, mayConnect, targetFault, type OutboundRules } from './target-url.ts';

/** What to send, and how. */
export interface Posting {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** From the look-up to the end of the answer. */
  readonly timeoutMs: number;
  readonly rules: OutboundRules;
  readonly resolve?: Resolve;
}

/** Why there is no answer. `refused`: the target is none to which this service sends; no connection was made. */
export type PostFailure = 'refused' | 'unreachable' | 'tls' | 'timeout' | 'broken_off';

/** The answer's status, or why there is none. */
export type PostResult = { readonly status: number } | { readonly failure: PostFailure };

/** Of a body only this much is read, and only for so long, so that a small answer ends normally. Nothing of it is kept. */
const BODY_MAX_BYTES = 4 * 1024;
const BODY_MAX_MS = 1_000;

class TimedOut extends Error {
  override name = 'TimedOut';
}

/**
 * Sends one POST. Follows no redirect, and never throws: whatever the other side does is a result.
 */
export async function postOnce(posting: Posting): Promise<PostResult> {
  const { rules, url } = posting;
  // Again, although the URL was checked when it was stored: the rules may have changed. A socket looks up no address that is
  // written as one, so those are checked here.
  if (targetFault(rules, url) !== undefined) return { failure: 'refused' };
  try {
    return { status: await exchange(posting) };
  } catch (error) {
    return { failure: failureOf(error) };
  }
}

function exchange({ url, headers, body, timeoutMs, rules, resolve }: Posting): Promise<number> {
  const target = new URL(url);
  const host = hostOf(target);
  return new Promise((done, fail) => {
    const signal = AbortSignal.timeout(timeoutMs);
    let answered: number | undefined;
    const request = httpsRequest(
      {
        method: 'POST',
        host,
        port: target.port === '' ? 443 : Number(target.port),
        path: target.pathname + target.search,
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        // A connection of its own, which nobody else's request can have opened.
        agent: false,
        lookup: checkedLookup((address) => mayConnect(rules, address), resolve),
        ...tlsOfTarget(url, rules.extraCa),
        signal,
      },
      (response) => {
        answered = response.statusCode;
        void drain(response).then(() => done(answered ?? 0));
      },
    );
    request.on('error', (error) => {
      // The status decides. How the body ends does not matter.
      if (answered !== undefined) done(answered);
      else fail(signal.aborted ? new TimedOut() : error);
    });
    // An answer that asks for another protocol (101) is no response and no error, and then no time limit ends the request either.
    request.on('close', () => {
      if (answered === undefined) fail(new Error('closed without an answer'));
    });
    request.end(body);
  });
}

/** Ends with the body, or after its first bytes. The status is known, so an error changes nothing any more. */
function drain(response: IncomingMessage): Promise<void> {
  return new Promise((done) => {
    let bytes = 0;
    const timer = setTimeout(() => response.destroy(), BODY_MAX_MS);
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > BODY_MAX_BYTES) response.destroy();
    });
    response.on('error', () => undefined);
    response.on('close', () => {
      clearTimeout(timer);
      done();
    });
  });
}

const UNREACHABLE =
  /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENETDOWN|ETIMEDOUT|EADDRNOTAVAIL|ENOTFOUND|ENODATA|ESERVFAIL|EREFUSED|ETIMEOUT|EAI_\w+)$/;

function failureOf(error: unknown): PostFailure {
  if (error instanceof AddressRefused) return 'refused';
  if (error instanceof TimedOut) return 'timeout';
  if (tlsFaultOf(error) !== undefined) return 'tls';
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' && UNREACHABLE.test(code) ? 'unreachable' : 'broken_off';
}
