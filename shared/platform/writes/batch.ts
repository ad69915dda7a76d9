import { z } from 'zod';
import type { Call, IdempotencyClaim } from '../call/call.ts';
import { auditEvent, recordEvents } from './caused-events.ts';
import { fingerprintOf, readIdempotencyKey } from '../call/idempotency-key.ts';
import { refuseOtherTenantIn, withoutTenant } from '../call/named-tenants.ts';
import { faultsOf, PARSING } from '../call/faults.ts';
import { Problem, type Fault, type ProblemCode } from '../call/problem.ts';
import type { Reply } from '../call/reply.ts';
import { recordItems, type Item, type ItemOutcome, type Recording } from './record-items.ts';

/** Items of one batch at the most. */
export const BATCH_MAX = 100;
/** A batch's body: 100 of the largest ordinary items would be more, but not through the gateway's own limits. */
export const BATCH_BODY_LIMIT = 8 * 1024 * 1024;

/** `{items: […]}`; each item is looked at on its own, so that a faulty one spoils none of the others. */
export const batchBody = z.strictObject({
  items: z
    .array(z.record(z.string(), z.unknown()))
    .min(1)
    .max(BATCH_MAX)
    .describe(
      'As the single route takes them, each with its own `idempotency_key` if it is to be repeatable.',
    ),
});

/** What became of each item, in the order given. */
export const batchOutcome = z.object({
  items: z.array(
    z.object({
      status: z.number().int().describe('The HTTP status that the item alone would have had.'),
      outcome: z.enum(['created', 'duplicate', 'invalid', 'refused']),
      code: z.string().optional(),
      detail: z.string().optional(),
      request_id: z.uuid().optional(),
      record_id: z.uuid().optional(),
      job_id: z.uuid().optional(),
      errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
    }),
  ),
});
type Outcome = z.output<typeof batchOutcome>['items'][number];

/** How one kind of thing is recorded in batches. */
export interface BatchKind<Body> {
  readonly schema: z.ZodType<Body>;
  readonly recording: Recording;
  /** Makes the valid items ready; a problem refuses one. In the order given. */
  readonly prepare: (
    call: Call,
    items: readonly { readonly body: Body; readonly claim: IdempotencyClaim | null }[],
  ) => Promise<(Item | Problem)[]>;
}

/** Records a batch: 207 with an outcome for each item. */
export async function recordBatch<Body>(
  call: Call,
  given: readonly Readonly<Record<string, unknown>>[],
  kind: BatchKind<Body>,
): Promise<Reply> {
  const parsed = given.map((item) => parseItem(call, item, kind));
  const valid = parsed.filter((item): item is Exclude<typeof item, Problem> => !(item instanceof Problem));
  const prepared = await kind.prepare(call, valid);
  const ready = prepared.filter((item): item is Item => !(item instanceof Problem));
  const recorded = await recordItems(call, kind.recording, ready);
  const next = { prepared: prepared[Symbol.iterator](), recorded: recorded[Symbol.iterator]() };
  const outcomes = parsed.map((item): Outcome => {
    if (item instanceof Problem) return refusedOutcome(item);
    const prepared = next.prepared.next().value;
    if (prepared === undefined || prepared instanceof Problem) {
      return refusedOutcome(prepared ?? new Problem('INTERNAL_ERROR'));
    }
    const outcome = next.recorded.next().value;
    return outcome === undefined ? refusedOutcome(new Problem('INTERNAL_ERROR')) : outcomeOf(outcome);
  });
  await auditMismatches(call, parsed);
  return { status: 207, body: { items: outcomes } };
}

function parseItem<Body>(
  call: Call,
  given: Readonly<Record<string, unknown>>,
  kind: BatchKind<Body>,
): { body: Body; claim: IdempotencyClaim | null } | Problem {
  const { idempotency_key: givenKey, ...rest } = given;
  try {
    refuseOtherTenantIn(call.principal.tenantId, rest, kind.schema);
    const body = withoutTenant(rest);
    const faults: Fault[] = [];
    const key = itemKey(givenKey, faults);
    const parsed = kind.schema.safeParse(body, PARSING);
    if (!parsed.success) faults.push(...faultsOf(parsed.error, ''));
    if (!parsed.success || faults.length > 0) return new Problem('INVALID_REQUEST', { errors: faults });
    const claim = key === null ? null : { key, fingerprint: fingerprintOf([kind.recording.route, {}, body]) };
    return { body: parsed.data, claim };
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

function itemKey(given: unknown, faults: Fault[]): string | null {
  if (given === undefined || given === null) return null;
  try {
    const key = typeof given === 'string' ? readIdempotencyKey(given) : undefined;
    if (key !== undefined) return key;
  } catch {
    // Said below, with the item's own pointer.
  }
  faults.push({ pointer: '/idempotency_key', detail: 'must be 1 to 255 printable ASCII characters' });
  return null;
}

function refusedOutcome(problem: Problem): Outcome {
  const invalid: ReadonlySet<ProblemCode> = new Set([
    'INVALID_REQUEST',
    'POLICY_NOT_FOUND',
    'IDEMPOTENCY_MISMATCH',
  ]);
  const { detail, errors } = problem.options;
  return {
    status: problem.status,
    outcome: invalid.has(problem.code) ? 'invalid' : 'refused',
    code: problem.code,
    ...(detail === undefined ? {} : { detail }),
    ...(errors === undefined ? {} : { errors: [...errors] }),
  };
}

const answerIds = z.object({
  request_id: z.uuid().optional(),
  record_id: z.uuid().optional(),
  job_id: z.uuid().optional(),
  code: z.string().optional(),
});

function outcomeOf(outcome: ItemOutcome): Outcome {
  if (outcome.outcome === 'refused') return refusedOutcome(outcome.problem);
  const { reply } = outcome;
  const body: unknown = reply.text === undefined ? reply.body : JSON.parse(reply.text);
  const ids = answerIds.parse(body);
  const given = Object.fromEntries(Object.entries(ids).filter(([, value]) => value !== undefined));
  return { ...given, status: outcome.outcome === 'duplicate' ? 200 : reply.status, outcome: outcome.outcome };
}

async function auditMismatches(call: Call, parsed: readonly unknown[]): Promise<void> {
  const reached = parsed.filter((item) => item instanceof Problem && item.code === 'TENANT_MISMATCH').length;
  if (reached === 0) return;
  const details = { code: 'TENANT_MISMATCH', items: reached };
  const note = {
    action: `${call.route}.denied`,
    resource_type: 'batch',
    outcome: 'denied' as const,
    details,
  };
  await recordEvents(call, [auditEvent(call, note)]);
}
