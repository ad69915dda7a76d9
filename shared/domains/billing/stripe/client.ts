import type Stripe from 'stripe';
import { Problem } from '../../../platform/call/problem.ts';
import type { Settings } from '../../../platform/config/settings.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import { inChildSpan } from '../../../platform/telemetry/tracing.ts';

/** The version of Stripe's API that this build speaks. Events come in the version of their webhook endpoint. */
export const STRIPE_API_VERSION = '2026-10-28.endive';

/** The settings that reach Stripe. */
type StripeSettings = Pick<Settings, 'STRIPE_SECRET_KEY' | 'STRIPE_API_URL'>;

/** What a person's request may spend on all its calls of Stripe together. The rest of 2 s is for the answer. */
const PERSON_MS = 1_700;
/** What one call of a consumer or timer may take. */
const BACKGROUND_MS = 10_000;
const BACKGROUND_RETRIES = 2;
/** When a client may ask again after Stripe did not answer. */
const RETRY_AFTER_SECONDS = 5;

/** There is no key of Stripe. */
class StripeNotConfigured extends Error {
  override name = 'StripeNotConfigured';
}

/** The SDK is loaded by the first use: most processes never speak to Stripe, and it would delay their start. */
async function connect(
  settings: StripeSettings,
  config: Partial<Stripe.StripeConfig>,
  fetcher: typeof fetch,
) {
  const key = settings.STRIPE_SECRET_KEY;
  if (key === undefined) throw new StripeNotConfigured('STRIPE_SECRET_KEY is not set');
  const { default: StripeSdk } = await import('stripe');
  const { protocol, hostname, port } = new URL(settings.STRIPE_API_URL ?? 'https://api.stripe.com');
  return new StripeSdk(key, {
    apiVersion: STRIPE_API_VERSION,
    host: hostname,
    protocol: protocol === 'http:' ? 'http' : 'https',
    ...(port === '' ? {} : { port: Number(port) }),
    httpClient: StripeSdk.createFetchHttpClient(traced(fetcher)),
    telemetry: false,
    ...config,
  });
}

/** Stripe's groups of resources: `/v1/billing/meters`. */
const GROUPS: ReadonlySet<string> = new Set(['billing', 'billing_portal', 'checkout', 'test_helpers']);

/** A call's name in a trace: its method and resource, without ids. */
function callName(method: string, path: string): string {
  const [, version = '', first = '', second = ''] = path.split('/');
  const resource = GROUPS.has(first) ? `${first}/${second}` : first;
  return /^v\d$/.test(version) && /^[a-z_/]{1,60}$/.test(resource)
    ? `stripe ${method} /${version}/${resource}`
    : 'stripe';
}

/** Each call of Stripe in its span. */
function traced(fetcher: typeof fetch): typeof fetch {
  return (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    const name = (): string => callName(init?.method ?? 'GET', pathname);
    return inChildSpan(name, { kind: 'client' }, async (span) => {
      const response = await fetcher(input, init);
      span.set('http.response.status_code', response.status);
      if (response.status >= 500) span.fail();
      return response;
    });
  };
}

const background = new WeakMap<StripeSettings, Promise<Stripe>>();

/**
 * The client for consumers and timers, which can wait: 10 s a call, with retries.
 * @throws StripeNotConfigured
 */
export function stripeInBackground(settings: StripeSettings): Promise<Stripe> {
  let client = background.get(settings);
  if (client === undefined) {
    client = connect(settings, { timeout: BACKGROUND_MS, maxNetworkRetries: BACKGROUND_RETRIES }, fetch);
    background.set(settings, client);
    // A failed load is tried again.
    client.catch(() => background.delete(settings));
  }
  return client;
}

/**
 * Runs a person's request that needs Stripe. All calls of Stripe together have less than two seconds, unless `withinMs` says
 * otherwise, and none is repeated.
 * @throws Problem 503 with `Retry-After` if Stripe does not answer, refuses us, or is not configured; what `run` throws.
 */
export async function withStripe<T>(
  settings: StripeSettings,
  run: (stripe: Stripe) => Promise<T>,
  withinMs = PERSON_MS,
): Promise<T> {
  let deadline: AbortSignal | undefined;
  const fetcher: typeof fetch = (input, init) => {
    deadline ??= AbortSignal.timeout(withinMs);
    const signal = init?.signal ?? undefined;
    return fetch(input, {
      ...init,
      signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
    });
  };
  try {
    const stripe = await connect(settings, { timeout: withinMs, maxNetworkRetries: 0 }, fetcher);
    // Only now: the load of the SDK, once a process, is none of Stripe's time.
    deadline = AbortSignal.timeout(withinMs);
    return await run(stripe);
  } catch (error) {
    if (!isStripeUnavailable(error)) throw error;
    log.warn('stripe-unavailable', errorFields(error));
    throw new Problem('DEPENDENCY_UNAVAILABLE', {
      detail:
        error instanceof StripeNotConfigured ? 'Billing is not configured here.' : 'Stripe does not answer.',
      headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
      cause: error,
    });
  }
}

/** An error as the SDK throws it. Read by its fields, so that the SDK need not be loaded. */
interface SdkError {
  readonly type: string;
  readonly code: string | undefined;
  readonly statusCode: number | undefined;
  readonly param: string | undefined;
}

/** What Stripe's SDK threw; undefined for any other error. */
export function stripeErrorOf(error: unknown): SdkError | undefined {
  if (!(error instanceof Error) || !('type' in error) || typeof error.type !== 'string') return undefined;
  if (!error.type.startsWith('Stripe')) return undefined;
  const text = (field: string): string | undefined => {
    const value: unknown = Reflect.get(error, field);
    return typeof value === 'string' ? value : undefined;
  };
  const status: unknown = Reflect.get(error, 'statusCode');
  return {
    type: error.type,
    code: text('code'),
    param: text('param'),
    statusCode: typeof status === 'number' ? status : undefined,
  };
}

/** Types of errors after which the same request can succeed later. A refused key is mended by an operator, and then it does. */
const TEMPORARY: ReadonlySet<string> = new Set([
  'StripeConnectionError',
  'StripeAPIError',
  'StripeRateLimitError',
  'StripeAuthenticationError',
  'StripePermissionError',
]);

/** Whether Stripe could not be asked: it does not answer, is busy, refuses our key, or there is none. */
export function isStripeUnavailable(error: unknown): boolean {
  if (error instanceof StripeNotConfigured) return true;
  const found = stripeErrorOf(error);
  if (found === undefined) return false;
  return TEMPORARY.has(found.type) || found.statusCode === 429 || found.code === 'lock_timeout';
}

/** Whether Stripe has no object of this id. */
export function isStripeMissing(error: unknown): boolean {
  const found = stripeErrorOf(error);
  return found?.code === 'resource_missing' || found?.statusCode === 404;
}
