import { detectorResultKey } from '../../platform/cache/keys.ts';
import type { Call } from '../../platform/call/call.ts';
import { knownResults, type KnownResults } from './schemas.ts';

/** How long what detectors made of a content is offered to the next request with the same content. */
const KNOWN_RESULTS_TTL_S = 60 * 60;

/** What the cache's key for a content is made of. */
export interface ContentIdentity {
  readonly contentType: string;
  /** HMAC-SHA-256 of the content under the tenant's data key, base64: nobody without the key can guess from it. */
  readonly mac: string;
}

function keyOf(call: Call, content: ContentIdentity): string {
  return detectorResultKey(call.tenant.tenantId, `${content.contentType}:${content.mac}`);
}

/** Detectors that succeeded on the same content within the last hour; undefined where none is known. */
export async function findKnownResults(
  call: Call,
  content: ContentIdentity,
  excluded: readonly string[],
): Promise<KnownResults | undefined> {
  if (!call.services.cache.configured) return undefined;
  const known = await call.services.cache.read(keyOf(call, content), knownResults);
  const offered = known?.filter((result) => !excluded.includes(result.detector));
  return offered === undefined || offered.length === 0 ? undefined : offered;
}

/**
 * Keeps which detectors succeeded, sure enough, with their confidence; never what they found. Runs beside the request: a cache that
 * is slow delays nobody's write, and one that is gone, or a lost race between two writers, costs a detector run.
 */
export function keepKnownResults(
  call: Call,
  content: ContentIdentity,
  results: readonly {
    readonly detector: string;
    readonly status: string;
    readonly confidence?: number | undefined;
    readonly below_threshold: boolean;
  }[],
): void {
  const { cache } = call.services;
  const successes = results.filter((result) => result.status === 'success' && !result.below_threshold);
  if (!cache.configured || successes.length === 0) return;
  const keep = async (): Promise<void> => {
    const key = keyOf(call, content);
    const merged = new Map((await cache.read(key, knownResults))?.map((known) => [known.detector, known]));
    for (const { detector, confidence } of successes) {
      merged.set(detector, { detector, status: 'success', confidence: confidence ?? null });
    }
    await cache.write(key, [...merged.values()], KNOWN_RESULTS_TTL_S);
  };
  keep().catch(() => undefined);
}
