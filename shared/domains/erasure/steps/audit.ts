import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import {
  pseudonymiseEntries,
  TRAIL_PLACE,
  TRAIL_START,
  trailPlace,
  type Pseudonymised,
} from '../../audit/pseudonymise.ts';
import type { AuditFacts } from '../../audit/entry-hash.ts';
import {
  dropPseudonymKey,
  finishStep,
  lockPosition,
  PSEUDONYM_KEY_BYTES,
  pseudonymKeyOf,
  savePosition,
} from '../ledger.ts';
import { finishPlace, openPlace } from '../places.ts';
import { personOf } from './person.ts';
import { withoutPerson } from '../person-names.ts';
import { pseudonymsOf, withoutPersons, type Pseudonym } from '../pseudonyms.ts';
import { stepAfter } from '../steps.ts';
import type { ErasureWork, StepOutcome } from '../work.ts';

/** Entries that a batch looks at. */
export const ENTRIES_AT_ONCE = 500;

/** Where a walk over the trail is. */
export const trailPosition = z
  .object({ after: trailPlace.default(TRAIL_START) })
  .catch({ after: TRAIL_START });

/** Replaces every person in the tenant's trail by a pseudonym. */
export function pseudonymiseTrail(work: ErasureWork): Promise<StepOutcome> {
  return rewriteTrail(work, withoutPersons);
}

/** Replaces one person in the tenant's trail by a pseudonym. */
export async function pseudonymisePerson(work: ErasureWork): Promise<StepOutcome> {
  return rewriteTrail(work, withoutPerson(await personOf(work)));
}

/**
 * Rewrites the tenant's trail page by page. Page, position and count are one transaction, so each entry is rewritten once. The last
 * one drops the key of the pseudonyms.
 */
async function rewriteTrail(
  { services, erasure, now, hasTime }: ErasureWork,
  change: (facts: AuditFacts, pseudonym: Pseudonym) => Pseudonymised | undefined,
): Promise<StepOutcome> {
  const { core } = services.crossTenant;
  await openPlace(core, erasure, TRAIL_PLACE);
  const of = { tenantId: erasure.tenant_id, erasureId: erasure.erasure_id };
  while (hasTime()) {
    const isOver = await inBatch(core, async (transaction) => {
      const stored = await lockPosition(transaction, erasure);
      if (stored === undefined) return true;
      const pseudonym = pseudonymsOf(
        await pseudonymKeyOf(transaction, erasure, randomBytes(PSEUDONYM_KEY_BYTES)),
      );
      const page = { ...trailPosition.parse(stored), limit: ENTRIES_AT_ONCE };
      const after = await pseudonymiseEntries(transaction, of, page, (facts) => change(facts, pseudonym));
      if (after !== undefined) {
        await savePosition(transaction, erasure, { after });
        return false;
      }
      await dropPseudonymKey(transaction, erasure);
      await finishPlace(transaction, erasure, TRAIL_PLACE, now);
      await finishStep(transaction, erasure, stepAfter(erasure.step, erasure.scope), {}, now);
      return true;
    });
    if (isOver) return 'moved';
  }
  return 'more';
}
