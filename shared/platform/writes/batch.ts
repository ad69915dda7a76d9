import { z } from 'zod';
import type { Call, IdempotencyClaim } from '../call/call.ts';
import type { CloudEvent } from '../bus/events.ts';
import { auditEvent, emitEvents } from './caused-events.ts';
import { fingerprintOf, readIdempotencyKey } from '../call/idempotency-key.ts';
import { refuseOtherTenantIn, withoutTenant } from '../call/named-tenants.ts';
import { faultsOf, PARSING } from '../call/faults.ts';
import { Problem, type Fault, type ProblemCode } from '../call/problem.ts';
import { Written, type Reply } from '../call/reply.ts';
import type { HotWrite, Item, ItemOutcome } from './hot-write.ts';
import { uuid } from '../ids/uuid.ts';
import { findEarlierAnswer, StillRunning } from './idempotency.ts';
import { writeBatchOnce, writeItems, type BatchAnswer } from './write-items.ts';

/** The most items of one batch. */
const BATCH_MAX = 100;
/** The most bytes of a batch's body. 100 of the largest ordinary items would be more, but gateways have lower limits too. */
export const BATCH_BODY_LIMIT = 8 * 1024 * 1024;

/** The fields of an item's outcome that come from the answer of the single route. */
const repeatedFields = {
  request_id: uuid.optional(),
  record_id: uuid.optional(),
  job_id: uuid.optional(),
  code: z.string().optional(),
  review_status: z
    .string()
    .optional()
    .describe('Of a mapping: `needs_review` when the confidence of its response is too low.'),
};
const answerFields = z.object(repeatedFields);

/** `{items: […]}`. Each item is checked separately, so that an invalid one does not affect the others. */
export const batchBody = z.strictObject({
  items: z
    .array(z.record(z.string(), z.unknown()))
    .min(1)
    .max(BATCH_MAX)
    .describe(
      'As on the single route. With an `Idempotency-Key` header the whole batch is repeatable. An item may ' +
        'have its own `idempotency_key`, which is the same key as on the single route. A repeatable batch is written ' +
        'with all outcomes or not at all: when an item fails on our side, or its own key belongs to a request that still ' +
        'runs, the batch is refused with that status (5xx or 409) and can be sent again under its key.',
    ),
});

/** The outcome of each item, in the order given. */
export const batchOutcome = z.object({
  items: z.array(
    z.object({
      status: z.number().int().describe('The HTTP status that the item alone would have had.'),
      outcome: z.enum(['created', 'duplicate', 'invalid', 'refused']),
      detail: z.string().optional(),
      ...repeatedFields,
      errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
    }),
  ),
});
type BatchReply = Reply<207, z.output<typeof batchOutcome>>;
type Outcome = z.output<typeof batchOutcome>['items'][number];

/** An item that passed its schema, and its idempotency key. */
interface ParsedItem<Body> {
  readonly body: Body;
  readonly claim: IdempotencyClaim | null;
}

/** How one kind of item is written in batches. */
export interface BatchKind<Body> {
  readonly schema: z.ZodType<Body>;
  readonly write: HotWrite;
  /** Makes the valid items ready, in the order given. A problem refuses one item. */
  readonly prepare: (call: Call, items: readonly ParsedItem<Body>[]) => Promise<(Item | Problem)[]>;
}

/**
 * Writes a batch: 207 with an outcome for each item. Without a key, each item has its own outcome, and items with their own
 * keys are repeatable.
 *
 * With an Idempotency-Key, the first 207 is the batch's final answer (see {@link writeBatchOnce}). So each of its outcomes
 * must be final: {@link requireSettled}. A refused item is sent again under a new key.
 * @throws Problem 409 while a batch with the key runs, 422 if the key was used with another batch; with a key, the problem
 * of the first item that is not final.
 */
export async function writeBatch<Body>(
  call: Call,
  given: readonly Readonly<Record<string, unknown>>[],
  kind: BatchKind<Body>,
): Promise<BatchReply> {
  const { write } = kind;
  const parsed = given.map((item) => parseItem(call, item, kind));
  const claim = batchClaim(call.idempotency, given, parsed);
  // Comes first, so that a repeated batch is not prepared again and does not reserve quota.
  const earlier = await findEarlierAnswer<BatchReply>(call.databases[write.database], call, claim);
  if (earlier !== undefined) return earlier;
  const valid = parsed.filter((item): item is Exclude<typeof item, Problem> => !(item instanceof Problem));
  const prepared = await kind.prepare(call, valid);
  const ready = prepared.filter((item): item is Item => !(item instanceof Problem));
  const answerOf = (written: readonly ItemOutcome[]): BatchAnswer<BatchReply> => {
    const outcomes = inOrderGiven(parsed, prepared, written);
    if (claim !== null) requireSettled(outcomes);
    const reply: BatchReply = { status: 207, body: { items: outcomes.map(shownOutcome) } };
    return { reply, events: mismatchEvents(call, parsed) };
  };
  if (claim !== null) return writeBatchOnce(call, write, claim, ready, answerOf);
  const { reply, events } = answerOf(await writeItems(call, write, ready));
  if (events.length > 0) await emitEvents(call, events, write.database);
  return reply;
}

/** The batch's own claim. Its fingerprint uses the parsed items, and the raw text of an item that did not parse. */
function batchClaim(
  claim: IdempotencyClaim | null,
  given: readonly unknown[],
  parsed: readonly (ParsedItem<unknown> | Problem)[],
): IdempotencyClaim | null {
  if (claim === null) return null;
  const items = parsed.map((item, n) =>
    item instanceof Problem ? { given: given[n] } : { key: item.claim?.key ?? null, body: item.body },
  );
  return { ...claim, fingerprint: fingerprintOf(items) };
}

/** The outcomes in the order given: of items refused during parsing or preparation, and of written items. */
function inOrderGiven(
  parsed: readonly unknown[],
  prepared: readonly (Item | Problem)[],
  written: readonly ItemOutcome[],
): ItemOutcome[] {
  const refused = (problem: Problem): ItemOutcome => ({ outcome: 'refused', problem });
  const next = { prepared: prepared[Symbol.iterator](), written: written[Symbol.iterator]() };
  return parsed.map((item): ItemOutcome => {
    if (item instanceof Problem) return refused(item);
    const ready = next.prepared.next().value;
    if (ready instanceof Problem) return refused(ready);
    const outcome = ready === undefined ? undefined : next.written.next().value;
    return outcome ?? refused(new Problem('INTERNAL_ERROR'));
  });
}

/**
 * Refuses to keep an answer with a temporary outcome: an error on our side, or an item whose own key is held by a running
 * request. Such an answer would be repeated for a day, although the item could be written a second later.
 * @throws Problem of that item, so that nothing of the batch is written and the batch can be sent again under its key.
 */
function requireSettled(outcomes: readonly ItemOutcome[]): void {
  for (const [n, outcome] of outcomes.entries()) {
    if (outcome.outcome !== 'refused') continue;
    const { problem } = outcome;
    if (problem.status < 500 && !(problem instanceof StillRunning)) continue;
    const { detail = 'could not be written', headers } = problem.options;
    throw new Problem(problem.code, {
      detail: 'An item could not be written, so nothing of the batch was. Send it again under the same key.',
      errors: [{ pointer: `/items/${n}`, detail }],
      ...(headers === undefined ? {} : { headers }),
      cause: problem,
    });
  }
}

function parseItem<Body>(
  call: Call,
  given: Readonly<Record<string, unknown>>,
  kind: BatchKind<Body>,
): ParsedItem<Body> | Problem {
  const { idempotency_key: givenKey, ...rest } = given;
  try {
    refuseOtherTenantIn(call.principal.tenantId, rest, kind.schema);
    const body = withoutTenant(rest);
    const faults: Fault[] = [];
    const key = itemKey(givenKey, faults);
    const parsed = kind.schema.safeParse(body, PARSING);
    if (!parsed.success) faults.push(...faultsOf(parsed.error, ''));
    if (!parsed.success || faults.length > 0) return new Problem('INVALID_REQUEST', { errors: faults });
    const asked = [kind.write.route, {}, parsed.data];
    return { body: parsed.data, claim: key === null ? null : { key, fingerprint: fingerprintOf(asked) } };
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
    // Reported below, with the item's own pointer.
  }
  faults.push({ pointer: '/idempotency_key', detail: 'must be 1 to 255 printable ASCII characters' });
  return null;
}

const INVALID: ReadonlySet<ProblemCode> = new Set([
  'INVALID_REQUEST',
  'POLICY_NOT_FOUND',
  'IDEMPOTENCY_MISMATCH',
]);

function shownOutcome(outcome: ItemOutcome): Outcome {
  if (outcome.outcome === 'refused') return shownProblem(outcome.problem);
  const { body, status } = outcome.reply;
  const answer = answerFields.parse(body instanceof Written ? JSON.parse(body.text) : body);
  const fields = Object.fromEntries(Object.entries(answer).filter(([, value]) => value !== undefined));
  return { ...fields, status: outcome.outcome === 'duplicate' ? 200 : status, outcome: outcome.outcome };
}

function shownProblem(problem: Problem): Outcome {
  const { detail, errors } = problem.options;
  return {
    status: problem.status,
    outcome: INVALID.has(problem.code) ? 'invalid' : 'refused',
    code: problem.code,
    ...(detail === undefined ? {} : { detail }),
    ...(errors === undefined ? {} : { errors: [...errors] }),
  };
}

/** The audit event for items that named another tenant: one event for all of them. */
function mismatchEvents(call: Call, parsed: readonly unknown[]): CloudEvent[] {
  const reached = parsed.filter((item) => item instanceof Problem && item.code === 'TENANT_MISMATCH').length;
  if (reached === 0) return [];
  const note = {
    action: `${call.route}.denied`,
    resource_type: 'batch',
    outcome: 'denied' as const,
    details: { code: 'TENANT_MISMATCH', items: reached },
  };
  return [auditEvent(call, note)];
}
