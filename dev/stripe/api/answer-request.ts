import type { Cause, Context } from './context.ts';
import type { Holds } from './holds.ts';
import type { Answer, IdempotencyKeys, KeyedRequest } from './idempotency.ts';
import { findByPath } from './find-by-path.ts';
import { answerInVersion } from './in-version.ts';
import type { Route } from './route.ts';
import type { Outcome, StandIn } from './stand-in.ts';
import { notInStandIn } from './stripe-error.ts';
import type { StripeError } from './stripe-error.ts';
import type { ApiVersion } from './versions.ts';

/** A request below /v1 or /v2 whose key and version are good. */
export interface ApiRequest {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly params: Record<string, unknown>;
  readonly idempotencyKey: string | undefined;
  /** The answer's shape. Parameters are those of the newest version. */
  readonly version: ApiVersion;
}

export interface ApiAnswer extends Answer {
  /** The first request's id, where its answer is given again. */
  readonly replayedFrom?: string;
  /** The connection is to end without the answer. */
  readonly isCut?: boolean;
}

export interface Api {
  readonly standIn: StandIn;
  readonly routes: readonly Route[];
  readonly keys: IdempotencyKeys;
  readonly holds: Holds;
}

export function toAnswer(error: StripeError): Answer {
  return { status: error.status, body: JSON.stringify({ error: error.body }) };
}

function conclude(outcome: Outcome<unknown>): Answer {
  return 'refused' in outcome
    ? toAnswer(outcome.refused)
    : { status: 200, body: JSON.stringify(outcome.result) };
}

/** Runs a request and keeps its answer under its key, in one transaction. */
function runOnce(
  { standIn, keys, routes }: Api,
  request: ApiRequest,
  keyed: KeyedRequest | undefined,
): Answer {
  const found = findByPath(routes, request.method, request.path);
  if (found === undefined) throw notInStandIn(`${request.method} ${request.path}`);
  const answer = found.found.prepare(request.params, found.ids);
  const cause: Cause = {
    requestId: request.id,
    idempotencyKey: request.idempotencyKey ?? null,
    path: request.path,
  };
  const run = (context: Context): unknown =>
    answerInVersion(context.store, context.now(), answer(context), request.version);
  return standIn.attempt(cause, run, (outcome) => {
    const answered = conclude(outcome);
    if (keyed !== undefined) keys.keep(keyed, request.id, answered);
    return answered;
  });
}

/** Stripe's rules in their order: the key's earlier answer, the route, its parameters, its effect. Throws `StripeError`. */
export async function answerRequest(api: Api, request: ApiRequest): Promise<ApiAnswer> {
  const { keys, holds } = api;
  const { method, path, params, idempotencyKey } = request;
  // As at Stripe, only what POST does needs a key.
  const keyed =
    idempotencyKey === undefined || method !== 'POST'
      ? undefined
      : { key: idempotencyKey, method, path, params };
  const run = async (): Promise<ApiAnswer> => {
    if ((await holds.pass(path, 'before')) === 'cut') return { status: 0, body: '', isCut: true };
    return runOnce(api, request, keyed);
  };
  if (keyed === undefined) return await finish(holds, path, await run());
  const kept = keys.find(keyed);
  if (kept !== undefined) return { status: kept.status, body: kept.body, replayedFrom: kept.requestId };
  return await finish(holds, path, await keys.hold(keyed.key, run));
}

async function finish(holds: Holds, path: string, answer: ApiAnswer): Promise<ApiAnswer> {
  if (answer.isCut === true) return answer;
  return (await holds.pass(path, 'after')) === 'cut' ? { ...answer, isCut: true } : answer;
}
