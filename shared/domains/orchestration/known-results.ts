import { detectorResultKey } from '../../platform/cache/keys.ts';
import type { Call } from '../../platform/call/call.ts';
import { knownResults, type KnownResults } from './schemas.ts';

/** How long results are offered to later requests with the same content. */
const KNOWN_RESULTS_TTL_S = 60 * 60;

/** The parts of a content's cache key. */
export interface ContentIdentity {
  readonly contentType: string;
  /** HMAC-SHA-256 of the content under the tenant's data key, base64. Without the key, nobody can test a guess of the content. */
  readonly mac: string;
}

function keyOf(call: Call, content: ContentIdentity): string {
  return detectorResultKey(call.tenant.tenantId, `${content.contentType}:${content.mac}`);
}

/** Detectors that succeeded on the same content within the last hour; undefined if none is known. */
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
 * Caches the names and confidences of detectors that succeeded and were sure enough, never their findings. The request does
 * not wait for it, so a slow cache delays no write. A lost entry, or a race of two writers, costs one more detector run.
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
