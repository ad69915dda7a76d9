import type { z } from 'zod';
import { faultsOf } from '../call/faults.ts';
import type { Fault } from '../call/problem.ts';
import type { TenantContext } from '../auth/tenant-context.ts';
import { DAY_MS } from '../time/clock.ts';
import { utcMicroseconds } from '../time/instant.ts';
import { cloudEvent } from '../bus/events.ts';
import type { ReceivedMessage } from './received-message.ts';

/** Why a message can never be processed as it is. Stable: operators filter by it. */
export const QUARANTINE_REASONS = [
  'NOT_JSON',
  'NOT_A_CLOUD_EVENT',
  'UNKNOWN_TYPE',
  'INVALID_DATA',
  'INVALID_TIME',
  'UNKNOWN_TENANT',
  'REFUSED_BY_DATABASE',
  'REFUSED',
  'UNPUBLISHABLE',
] as const;

/** One reason. */
export type QuarantineReason = (typeof QUARANTINE_REASONS)[number];

/** A message's refusal: why, and where its faults lie, without its content. */
export interface Refusal {
  readonly reason: QuarantineReason;
  readonly detail: readonly Fault[];
  /** The tenant it speaks of, as far as that can be told. */
  readonly tenantId: string | null;
}

/** An event that a queue's consumer is to write. */
export interface ReceivedEvent<T> {
  readonly source: string;
  readonly id: string;
  /** When it happened: RFC 3339 in UTC with six digits of a second, as the database keeps it. */
  readonly time: string;
  /** The same at ms precision. */
  readonly at: Date;
  readonly tenant: TenantContext;
  readonly data: T;
  readonly message: ReceivedMessage;
}

/** What a queue's consumer takes. */
export interface EventShape<T extends { readonly tenant_id: string }> {
  readonly type: string;
  readonly schema: z.ZodType<T>;
  /** Events older than this are refused: nothing of that age is due any more, and its partition may be gone. */
  readonly maxAgeDays: number;
}

/** A producer's clock may be wrong, and its zone too; more than a day ahead is a fault, and would make partitions at will. */
const AHEAD_MAX_MS = DAY_MS;
/** Deeper than any contract; what is deeper is an attack on recursive code. */
const DEPTH_MAX = 40;

/** A NUL, or half a surrogate pair (under the `u` flag a whole pair is one character of another class). */
const UNSTORABLE = /[\0\p{Surrogate}]/u;

const utf8 = new TextDecoder('utf-8', { fatal: true });

function refuse(reason: QuarantineReason, detail: readonly Fault[], tenantId: string | null = null): Refusal {
  return { reason, detail, tenantId };
}

/** Reads one message; everything but its tenant's existence, which takes a look-up, is checked here. */
export function readEvent<T extends { readonly tenant_id: string }>(
  message: ReceivedMessage,
  shape: EventShape<T>,
  now: Date,
): Omit<ReceivedEvent<T>, 'tenant'> | Refusal {
  let given: unknown;
  try {
    given = JSON.parse(utf8.decode(message.body));
  } catch {
    return refuse('NOT_JSON', [{ pointer: '', detail: 'is not JSON in UTF-8' }]);
  }
  const envelope = cloudEvent.safeParse(binaryMode(message, given) ?? given);
  if (!envelope.success) return refuse('NOT_A_CLOUD_EVENT', faultsOf(envelope.error, ''));
  const { id, source, type, time, data } = envelope.data;
  const tenantId = tenantIn(data);
  const unstorable = findUnstorable([id, source, data], 0);
  if (type !== shape.type)
    return refuse(
      'UNKNOWN_TYPE',
      [{ pointer: '/type', detail: 'is no type that this queue takes' }],
      tenantId,
    );
  if (unstorable !== undefined)
    return refuse('INVALID_DATA', [{ pointer: '', detail: unstorable }], tenantId);
  const parsed = shape.schema.safeParse(data);
  if (!parsed.success) return refuse('INVALID_DATA', faultsOf(parsed.error, '/data'), tenantId);
  const at = new Date(time);
  const timeFault = faultOfTime(at, now, shape.maxAgeDays);
  if (timeFault !== undefined)
    return refuse('INVALID_TIME', [{ pointer: '/time', detail: timeFault }], tenantId);
  return { source, id, time: utcMicroseconds(time), at, data: parsed.data, message };
}

/** The refusal of an event whose tenant does not exist. */
export function unknownTenant(tenantId: string): Refusal {
  const detail = [{ pointer: '/data/tenant_id', detail: 'is no tenant' }];
  return refuse('UNKNOWN_TENANT', detail, storableTenant(tenantId));
}

/** Tells a refusal from an event. */
export function isRefusal(read: unknown): read is Refusal {
  return typeof read === 'object' && read !== null && 'reason' in read;
}

/**
 * CloudEvents in AMQP's binary mode carry the envelope in application properties (`cloudEvents:id`, or `cloudEvents_id`
 * where a colon is not allowed) and the data alone in the body.
 */
function binaryMode(message: ReceivedMessage, data: unknown): Record<string, unknown> | undefined {
  const attributes = Object.entries(message.properties).flatMap(([name, value]) => {
    const attribute = /^cloudEvents[:_]([a-z0-9]+)$/.exec(name)?.[1];
    return attribute === undefined ? [] : [[attribute, value] as const];
  });
  if (!attributes.some(([name]) => name === 'specversion')) return undefined;
  return { ...Object.fromEntries(attributes), data };
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
  if (Number.isNaN(ahead)) return 'is no instant';
  if (ahead > AHEAD_MAX_MS) return 'lies more than a day ahead';
  if (-ahead > maxAgeDays * DAY_MS) return `lies more than ${maxAgeDays} days back`;
  return undefined;
}

/** What PostgreSQL's text and numbers cannot hold, though JSON can. */
function findUnstorable(value: unknown, depth: number): string | undefined {
  if (typeof value === 'string')
    return UNSTORABLE.test(value) ? 'holds a NUL or half a surrogate pair' : undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'holds a number out of range';
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth > DEPTH_MAX) return `is nested deeper than ${DEPTH_MAX} levels`;
  for (const [key, member] of Object.entries(value)) {
    const fault = findUnstorable(key, depth) ?? findUnstorable(member, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
