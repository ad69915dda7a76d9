import { detectorResultKey, keyHash } from '../cache/keys.ts';
import type { Call } from '../http/call.ts';
import { knownResults, type KnownResults } from './schemas.ts';

/** How long what detectors made of a content is offered to the next request with the same content. */
const KNOWN_RESULTS_TTL_S = 60 * 60;

/** A content as the cache knows it: a hash of its type and its hash. */
export interface ContentIdentity {
  readonly contentType: string;
  /** Base64. */
  readonly sha256: string;
}

function keyOf(call: Call, content: ContentIdentity): string {
  return detectorResultKey(call.tenant.tenantId, keyHash(content.contentType, content.sha256));
}

/** Detectors that succeeded on the same content within the last hour; undefined where none is known. */
export async function findKnownResults(
  call: Call,
  content: ContentIdentity,
  excluded: readonly string[],
): Promise<KnownResults | undefined> {
  const known = await call.services.cache.read(keyOf(call, content), knownResults);
  const offered = known?.filter((result) => !excluded.includes(result.detector));
  return offered === undefined || offered.length === 0 ? undefined : offered;
}

/**
 * Keeps which detectors succeeded, with their confidence; never what they found. Runs beside the request: a cache that
 * is slow delays nobody's write, and one that is gone, or a lost race between two writers, costs a detector run.
 */
export function keepKnownResults(
  call: Call,
  content: ContentIdentity,
  results: readonly {
    readonly detector: string;
    readonly status: string;
    readonly confidence?: number | undefined;
  }[],
): void {
  const { cache } = call.services;
  const successes = results.filter((result) => result.status === 'success');
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
