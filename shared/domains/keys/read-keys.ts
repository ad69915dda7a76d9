import type { Call } from '../../platform/call/call.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import { pepperId } from '../../platform/auth/api-key.ts';
import type { Settings } from '../../platform/config/settings.ts';
import { CURRENT_VERSION_TTL_MS, type KeyEncryptionKeys } from '../../platform/crypto/key-encryption-keys.ts';
import { KeyUnavailable } from '../../platform/crypto/key-unavailable.ts';
import type { ListedVersion } from '../../platform/crypto/key-version.ts';
import { lastUses } from '../../platform/crypto/version-use.ts';
import { countWrappedKeys, summarizeDataKeys } from '../../platform/crypto/wrapped-keys.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { DAY_MS, MINUTE_MS } from '../../platform/time/clock.ts';
import { countKeysByPepper, listKeysUnderOtherPeppers } from '../identity/keys-by-pepper.ts';
import type { PlatformKeys, ShownKeyVersion } from './schemas.ts';

/** Keys to rehash that are listed. */
const LISTED_MAX = 500;
/** Until then an instance may still take an older version for the newest, and wrap with it. */
const SETTLED_MS = CURRENT_VERSION_TTL_MS + 5 * MINUTE_MS;

/** What keys there are, how old they are, what they are used for, and how much is left of a rotation. Never a key. */
export async function readKeys(call: Call): Promise<Reply<200, PlatformKeys>> {
  const { dataKeys, crossTenant, settings } = call.services;
  const [keyEncryption, summary, peppers] = await Promise.all([
    readKeyEncryption(dataKeys.wrapping, crossTenant.core, call.now),
    summarizeDataKeys(crossTenant.core),
    readPeppers(crossTenant.core, settings),
  ]);
  return ok({
    key_encryption: keyEncryption,
    data_keys: {
      living: summary.living,
      destroyed: summary.destroyed,
      oldest_created_at: summary.oldest,
      oldest_age_days: ageOf(summary.oldest, call.now),
    },
    ...peppers,
  });
}

function ageOf(at: string | Date | null, now: Date): number | null {
  return at === null ? null : Math.max(0, Math.floor((now.getTime() - new Date(at).getTime()) / DAY_MS));
}

/** What the vault answers, or undefined and why not. */
async function asked<T>(ask: Promise<T>): Promise<{ answer?: T; problem: string | null }> {
  try {
    return { answer: await ask, problem: null };
  } catch (error) {
    if (error instanceof KeyUnavailable) return { problem: error.message };
    throw error;
  }
}

async function readKeyEncryption(
  keys: KeyEncryptionKeys,
  database: CrossTenantDatabase,
  now: Date,
): Promise<PlatformKeys['key_encryption']> {
  const [newest, list, wrapped, uses] = await Promise.all([
    asked(keys.newest()),
    asked(keys.list()),
    countWrappedKeys(database),
    lastUses(database),
  ]);
  const newestVersion = newest.answer?.version ?? null;
  const counts = new Map(wrapped.map(({ version, data_keys: count }) => [version, count]));
  const listed = new Map((list.answer ?? []).map((one) => [one.version, one]));
  const isSettled = isOlderThan(newestVersion === null ? undefined : listed.get(newestVersion), now);
  const versions = [
    ...new Set([...listed.keys(), ...counts.keys(), ...(newest.answer ? [newest.answer.version] : [])]),
  ].map((version): ShownKeyVersion => {
    const one = listed.get(version);
    const dataKeys = counts.get(version) ?? 0;
    const state = stateOf(one, list.answer !== undefined);
    return {
      version,
      state,
      is_newest: version === newestVersion,
      created_at: one?.createdAt?.toISOString() ?? null,
      age_days: ageOf(one?.createdAt ?? null, now),
      expires_at: one?.expiresAt?.toISOString() ?? null,
      data_keys: dataKeys,
      last_used_at: uses.get(version) ?? null,
      may_be_disabled:
        state === 'enabled' &&
        newestVersion !== null &&
        version !== newestVersion &&
        dataKeys === 0 &&
        isSettled,
    };
  });
  return {
    ...keys.place,
    problem: newest.problem ?? list.problem,
    newest_version: newestVersion,
    data_keys_to_rewrap:
      newestVersion === null
        ? null
        : wrapped.reduce((sum, one) => sum + (one.version === newestVersion ? 0 : one.data_keys), 0),
    versions,
  };
}

function stateOf(listed: ListedVersion | undefined, isListed: boolean): ShownKeyVersion['state'] {
  if (!isListed) return 'unknown';
  if (listed === undefined) return 'missing';
  return listed.enabled ? 'enabled' : 'disabled';
}

/** A setting's versions have no time: they change with a restart of every instance. */
function isOlderThan(newest: ListedVersion | undefined, now: Date): boolean {
  const made = newest?.createdAt ?? null;
  return made === null || now.getTime() - made.getTime() > SETTLED_MS;
}

async function readPeppers(
  database: CrossTenantDatabase,
  { API_KEY_PEPPER: current, API_KEY_PEPPER_PREVIOUS: previous }: Settings,
): Promise<Pick<PlatformKeys, 'peppers' | 'api_keys_to_rehash'>> {
  const currentId = pepperId(current);
  const roles = new Map<string | null, 'current' | 'previous'>();
  if (previous !== undefined) roles.set(pepperId(previous), 'previous');
  roles.set(currentId, 'current');
  const [counted, keys] = await Promise.all([
    countKeysByPepper(database),
    listKeysUnderOtherPeppers(database, currentId, LISTED_MAX),
  ]);
  const counts = new Map(counted.map((one) => [one.pepper_id, one.api_keys]));
  const peppers = [...new Set([...roles.keys(), ...counts.keys()])].map((id) => ({
    pepper_id: id,
    role: roles.get(id) ?? ('unknown' as const),
    api_keys: counts.get(id) ?? 0,
  }));
  const count = peppers.reduce((sum, one) => sum + (one.role === 'current' ? 0 : one.api_keys), 0);
  return { peppers, api_keys_to_rehash: { count, keys } };
}
