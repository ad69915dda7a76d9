import { z } from 'zod';
import { findUnstorable } from '../../../platform/json/unstorable.ts';

/** The last second of the year 9999. */
const SECONDS_MAX = 253_402_300_799;

/** What is read of an event (a _snapshot_ event, in any version of the API). Everything else stays in its payload. */
const stripeEvent = z.object({
  id: z.string().regex(/^\w{1,255}$/, 'is not an id'),
  object: z.literal('event'),
  type: z.string().regex(/^[a-z0-9_.]{1,255}$/, 'is not a type'),
  api_version: z
    .string()
    .regex(/^[\w.-]{1,100}$/, 'is not a version')
    .nullish(),
  created: z.number().int().min(0).max(SECONDS_MAX),
  livemode: z.boolean(),
  data: z.object({
    object: z.object({
      id: z
        .string()
        .regex(/^[\w.:-]{1,255}$/, 'is not an id')
        .nullish(),
      object: z.string().regex(/^[a-z0-9_.]{1,255}$/, 'is not a type'),
    }),
  }),
});
type StripeEvent = z.output<typeof stripeEvent>;

/** An event that can be stored. */
export interface GivenEvent extends StripeEvent {
  /** Its JSON; null if PostgreSQL cannot hold it. The object is fetched anyway. */
  readonly payload: string | null;
}

/** Why a text is no event that this service takes. */
export interface NoEvent {
  readonly pointer: string;
  readonly detail: string;
}

/** Whether reading an event found none. */
export function isNoEvent(read: GivenEvent | NoEvent): read is NoEvent {
  return 'pointer' in read;
}

/** Only these escapes bring in what PostgreSQL's text cannot hold. */
const UNSTORABLE_ESCAPE = /\\u(0000|[dD][89a-fA-F])/;

/** Reads an event's JSON. Returns its first fault instead, without content. */
export function readEventText(text: string): GivenEvent | NoEvent {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { pointer: '', detail: 'is not JSON' };
  }
  return readEventValue(value, text);
}

/** Reads an event that is parsed already. */
export function readEventValue(value: unknown, text: string): GivenEvent | NoEvent {
  if (isThin(value))
    return {
      pointer: '/object',
      detail: 'is a thin event (v2). Let the endpoint send snapshot events of API v1.',
    };
  const parsed = stripeEvent.safeParse(value);
  if (!parsed.success) {
    const path = parsed.error.issues[0]?.path ?? [];
    return { pointer: path.map((part) => `/${String(part)}`).join(''), detail: 'is not that of an event' };
  }
  const isStorable = findUnstorable(value, { texts: UNSTORABLE_ESCAPE.test(text) }) === undefined;
  return { ...parsed.data, payload: isStorable ? text : null };
}

/** Thin events are named so, and have no `data.object`, but only a reference. */
function isThin(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('object' in value)) return false;
  return typeof value.object === 'string' && value.object.startsWith('v2.');
}
