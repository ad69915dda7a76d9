import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';

/** A line of mapper traffic as an item of `POST /mappings/batch`. */
export interface TrafficLine {
  readonly line: number;
  readonly eventId: string | undefined;
  readonly item: Readonly<Record<string, unknown>>;
}

/** A line that cannot be sent. */
export interface UnreadableLine {
  readonly line: number;
  readonly text: string;
  readonly reason: string;
}

const trafficSchema = z.looseObject({
  event_id: z.string().min(1).max(255).optional(),
  processing_time_ms: z.unknown().optional(),
  model_used: z.unknown().optional(),
  response: z.record(z.string(), z.unknown()).optional(),
});

/**
 * Converts a line of traffic into a mapping. The mapper logs its cost beside the response; the API expects it inside. All
 * other fields stay as they are, so that the service refuses unknown ones and nothing is dropped here.
 */
function readTrafficLine(text: string, line: number): TrafficLine | UnreadableLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { line, text, reason: 'is not JSON' };
  }
  const parsed = trafficSchema.safeParse(value);
  if (!parsed.success) return { line, text, reason: 'is not a JSON object of mapper traffic' };
  const { event_id: eventId, processing_time_ms, model_used, response, ...rest } = parsed.data;
  const cost = { processing_time_ms, model_used };
  // A line without an id gets a hash of its text as its key, so that a second run does not create it again.
  const key = eventId ?? `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const whole = response === undefined ? {} : { response: { ...response, ...cost } };
  return { line, eventId, item: { ...rest, ...whole, idempotency_key: key } };
}

/** Reads a file of traffic line by line; blank lines are skipped. */
export async function* readTraffic(file: string): AsyncGenerator<TrafficLine | UnreadableLine> {
  const lines = createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Infinity });
  let number = 0;
  for await (const text of lines) {
    number += 1;
    if (text.trim() !== '') yield readTrafficLine(text, number);
  }
}
