import { createHmac } from 'node:crypto';
import type { Pseudonymised } from '../audit/pseudonymise.ts';
import type { AuditFacts } from '../audit/entry-hash.ts';
import { pseudonymsOf } from './pseudonyms.ts';

/** What a person is called in a tenant's rows. */
export interface Person {
  readonly userId: string;
  /** Undefined for a person who has none. */
  readonly email: string | undefined;
}

/** The names in columns that name persons: the id, the actor, the address. */
export function namesOf({ userId, email }: Person): readonly string[] {
  return [userId, `user:${userId}`, ...(email === undefined ? [] : [email])];
}

const escaped = (text: string): string => text.replaceAll(/[^a-z0-9]/gi, String.raw`\$&`);

/** A person's id or address as a whole word, for PostgreSQL and for JavaScript. */
export function personPattern({ userId, email }: Person): string {
  // The address first: it may begin with the id.
  const names = [...(email === undefined ? [] : [email]), userId].map(escaped);
  return `(?<![a-z0-9._%+-])(?:${names.join('|')})(?![a-z0-9_-])`;
}

/** What stands instead of a person's names. Without the key nobody can tell whose pseudonym one is. */
export interface PersonPseudonyms {
  readonly byName: Readonly<Record<string, string>>;
  /** In columns with ids: an id of nobody. */
  readonly asId: string;
}

const UUID_PARTS = /^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/s;

/** The pseudonyms of a person. */
export function personPseudonyms(key: Uint8Array, { userId, email }: Person): PersonPseudonyms {
  const pseudonym = pseudonymsOf(key);
  return {
    byName: {
      [userId]: pseudonym(userId),
      [`user:${userId}`]: `user:${pseudonym(userId)}`,
      ...(email === undefined ? {} : { [email]: pseudonym(email) }),
    },
    // Version 8 (RFC 9562): its bits are this service's own. No user's id is of this version.
    asId: createHmac('sha256', key)
      .update(`id:${userId}`)
      .digest('hex')
      .replace(UUID_PARTS, '$1-$2-8$3-8$4-$5'),
  };
}

function inTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => inTexts(item, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, inTexts(member, change)]));
}

/**
 * Makes the change of one person's erasure: in entries that name the person, the person's pseudonym stands instead. Entries of others
 * keep their actor, their address and their agent; entries that do not name the person are left alone.
 */
export function withoutPerson(
  person: Person,
): (facts: AuditFacts, pseudonym: (name: string) => string) => Pseudonymised | undefined {
  const pattern = personPattern(person);
  return (facts, pseudonym) => {
    const change = (text: string): string =>
      text.replace(new RegExp(pattern, 'gi'), (name) => pseudonym(name.toLowerCase()));
    const { actor, user_id: userId, resource_id: resourceId, details, user_agent: agent } = facts;
    const changed = {
      actor: actor === null ? null : change(actor),
      user_id: userId === null ? null : change(userId),
      resource_id: resourceId === null ? null : change(resourceId),
      details: inTexts(details, change) as Record<string, unknown>,
    };
    const isOwn =
      changed.actor !== actor || changed.user_id !== userId || (agent !== null && change(agent) !== agent);
    const isNamed =
      isOwn ||
      changed.resource_id !== resourceId ||
      JSON.stringify(changed.details) !== JSON.stringify(details);
    return isNamed ? { ...changed, keepsOrigin: !isOwn } : undefined;
  };
}
