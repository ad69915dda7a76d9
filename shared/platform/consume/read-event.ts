import type { z } from 'zod';
import { faultsOf } from '../call/faults.ts';
import { DAY_MS } from '../time/clock.ts';
import { utcMicroseconds } from '../time/instant.ts';
import { cloudEvent } from '../bus/events.ts';
import { findUnstorable } from '../json/unstorable.ts';
import type { GivenEvent } from './message-events.ts';
import { refuse, type Refusal } from './refusal.ts';

/** An event's envelope. Its data is not read yet. */
export interface Envelope {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time: string;
  readonly data: unknown;
  /** The span that caused it. */
  readonly traceparent: string | undefined;
  readonly given: GivenEvent;
}

/** A valid event for a queue's consumer. */
export interface ReceivedEvent<T> {
  readonly source: string;
  readonly id: string;
  /** When it happened: RFC 3339 in UTC with six digits of a second, like in the database. */
  readonly time: string;
  /** The same at ms precision. */
  readonly at: Date;
  readonly data: T;
  /** The span that caused it. */
  readonly traceparent?: string | undefined;
  readonly given: GivenEvent;
}

/** A type of event of a queue. */
export interface EventShape<T> {
  readonly type: string;
  readonly schema: z.ZodType<T>;
  /** Older events are refused: they are no longer due, and their partition may be gone. */
  readonly maxAgeDays: number;
}

/**
 * A producer's clock or time zone may be wrong. An event more than a day ahead is refused, because it would make partitions
 * far in the future.
 */
const AHEAD_MAX_MS = DAY_MS;
/** Reads an event's envelope. */
export function readEnvelope(given: GivenEvent): Envelope | Refusal {
  const envelope = cloudEvent.safeParse(given.value);
  if (!envelope.success)
    return { reason: 'NOT_A_CLOUD_EVENT', detail: faultsOf(envelope.error, ''), tenantId: null };
  const { id, source, type, time, data, traceparent } = envelope.data;
  return { id, source, type, time, data, traceparent, given };
}

/** The refusal of an event whose type the queue does not accept. */
export function unknownType({ data }: Envelope): Refusal {
  return refuse('UNKNOWN_TYPE', '/type', 'is not a type that this queue accepts', tenantIn(data));
}

/** Reads an event of one type. Checks everything except that its tenant exists, which needs a look-up. */
export function readEvent<T>(
  envelope: Envelope,
  shape: EventShape<T>,
  now: Date,
): ReceivedEvent<T> | Refusal {
  const { id, source, time, data, traceparent, given } = envelope;
  const fault = findUnstorable({ id, source, data });
  if (fault !== undefined) return { reason: 'INVALID_DATA', detail: [fault], tenantId: tenantIn(data) };
  const parsed = shape.schema.safeParse(data);
  if (!parsed.success)
    return { reason: 'INVALID_DATA', detail: faultsOf(parsed.error, '/data'), tenantId: tenantIn(data) };
  const at = new Date(time);
  const timeFault = faultOfTime(at, now, shape.maxAgeDays);
  if (timeFault !== undefined) return refuse('INVALID_TIME', '/time', timeFault, tenantIn(data));
  return { source, id, time: utcMicroseconds(time), at, data: parsed.data, traceparent, given };
}

/** The refusal of an event whose tenant does not exist. */
export function unknownTenant(tenantId: string): Refusal {
  return refuse('UNKNOWN_TENANT', '/data/tenant_id', 'is not a tenant', storableTenant(tenantId));
}

function tenantIn(data: unknown): string | null {
  if (typeof data !== 'object' || data === null) return null;
  const value: unknown = Reflect.get(data, 'tenant_id');
  return typeof value === 'string' ? storableTenant(value) : null;
}

function storableTenant(value: string): string | null {
  return /^[a-z0-9][a-z0-9_-]{0,62}$/.test(value) ? value : null;
}

function faultOfTime(at: Date, now: Date, maxAgeDays: number): string | undefined {
  const ahead = at.getTime() - now.getTime();
  if (Number.isNaN(ahead)) return 'is not a valid time';
  if (ahead > AHEAD_MAX_MS) return 'is more than a day ahead';
  if (-ahead > maxAgeDays * DAY_MS) return `is more than ${maxAgeDays} days old`;
  return undefined;
}
