import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';

/** Which sessions to end: a person's in one tenant or in all, or one of them; all but one. */
export interface SessionsToEnd {
  readonly userId: string;
  readonly tenantId?: string;
  readonly sessionId?: string;
  readonly except?: string | null;
}

/**
 * Ends sessions, in the caller's transaction, and returns the ids of those that were not ended before. `by`: who does it, as in
 * audit entries. After the commit, call `credentials.forgetPerson`.
 */
export async function endSessions(
  transaction: Pick<TenantTransaction, 'query'>,
  { userId, tenantId, sessionId, except }: SessionsToEnd,
  by: string,
  now: Date,
): Promise<string[]> {
  const rows = await transaction.query<{ session_id: string }>(
    `update user_sessions set revoked_at = $5, revoked_by = $6
      where user_id = $1 and ($2::text is null or tenant_id = $2) and ($3::text is null or session_id = $3)
        and ($4::text is null or session_id <> $4) and revoked_at is null and expires_at > $5
      returning session_id`,
    [userId, tenantId ?? null, sessionId ?? null, except ?? null, now, by],
  );
  return rows.map(({ session_id }) => session_id);
}
