import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import { performWrite } from '../../platform/writes/perform-write.ts';
import type { MappingReviewed, Review } from './schemas.ts';

const COLUMNS = 'request_id, status, review_status, review_note, reviewed_by, reviewed_at';

/**
 * Settles the review of a mapping, once. The mapping and its record do not change: the mapper's response is evidence.
 * @throws Problem 404; 409 when the mapping needs no review, or its review is already settled.
 */
export async function reviewMapping(
  call: Call,
  requestId: string,
  review: Review,
): Promise<Reply<200, MappingReviewed>> {
  return performWrite(call, async (transaction) => {
    const [before] = await transaction.query<Pick<MappingReviewed, 'review_status'>>(
      `select review_status from mapper_requests where tenant_id = $1 and request_id = $2 and expires_at > $3 for update`,
      [call.tenant.tenantId, requestId, call.now],
    );
    if (before === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such mapping.' });
    if (before.review_status !== 'needs_review') throw notOpen(before.review_status);
    const [row] = await transaction.query<MappingReviewed>(
      `update mapper_requests set review_status = $3, review_note = $4, reviewed_by = $5, reviewed_at = $6,
              updated_at = $6, version = version + 1
        where tenant_id = $1 and request_id = $2 returning ${COLUMNS}`,
      [call.tenant.tenantId, requestId, review.decision, review.note ?? null, call.principal.actor, call.now],
    );
    if (row === undefined) throw new Error('a row that is locked was not written');
    return {
      reply: ok(row),
      audit: {
        action: 'mapping.reviewed',
        resource_type: 'mapping',
        resource_id: requestId,
        details: { decision: review.decision, with_note: review.note !== undefined },
      },
    };
  });
}

function notOpen(status: string | null): Problem {
  const detail = status === null ? 'The mapping needs no review.' : `The mapping was ${status} already.`;
  return new Problem('CONFLICT', { detail });
}
