import type { Random } from './random.ts';

/** A body for `POST /mappings`, with or without its response. */
export function mappingBody(marker: string, random: Random, whole: boolean): Record<string, unknown> {
  return {
    detector: 'regex-pii',
    // All differ, since a cached answer to an equal request would use another path.
    source_data: `${marker} ${'lorem ipsum '.repeat(random.between(1, 80))}`,
    output: { findings: random.between(0, 9) },
    model_version: 'mapper-7',
    metadata: { ledger: marker },
    ...(whole ? { response: mapperResponse() } : {}),
  };
}

/** A mapper's response. */
export function mapperResponse(): Record<string, unknown> {
  return {
    taxonomy: ['PII.Contact.Email'],
    scores: { 'PII.Contact.Email': 0.9 },
    confidence: 0.9,
    processing_time_ms: 12,
    model_used: 'mapper-7',
  };
}

/** The number of detector results of each orchestration. */
export const RESULTS_EACH = 2;

/** A body for `POST /orchestrations` with its response: 201, or 206 if a required detector failed. */
export function orchestrationBody(marker: string, random: Random): Record<string, unknown> {
  const second =
    random.next() < 0.8
      ? { status: 'success', confidence: 0.8 }
      : { status: 'failed', error: 'out of memory' };
  return {
    content: `${marker} ${'dolor sit amet '.repeat(random.between(1, 60))}`,
    content_type: 'text',
    policy_bundle: 'default',
    environment: 'prod',
    metadata: { ledger: marker },
    detector_results: [
      { detector: 'regex-pii', status: 'success', processing_time_ms: 3, confidence: 0.9 },
      { detector: 'llama-guard', processing_time_ms: 40, ...second },
    ],
    response: { total_processing_time_ms: 44 },
  };
}

/** A body for `POST /analyses` with its response. */
export function analysisBody(marker: string, random: Random): Record<string, unknown> {
  return {
    period: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' },
    metrics: { coverage: random.next() },
    metadata: { ledger: marker },
    response: {
      explanation: `The gaps of ${marker}.`,
      confidence: 0.95,
      processing_time_ms: 900,
      model_used: 'analyst-2',
    },
  };
}
