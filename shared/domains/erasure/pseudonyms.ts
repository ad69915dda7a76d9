import { createHmac } from 'node:crypto';
import type { Pseudonymised } from '../audit/pseudonymise.ts';
import type { AuditFacts } from '../audit/entry-hash.ts';

/** Actors of this service itself: no person stands behind them. */
const OWN_ACTORS = /^(job|tool):/;
/** Resources that are persons, or name one. */
const PERSONAL_RESOURCES = /user|person|session|invitation|identit|sign_in|role_assignment/;
/** Texts in an entry's details that tell of no person: times and hashes. */
const IMPERSONAL = /^(\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{64})$/;

/** 80 bits: no two persons of a trail have one pseudonym. */
const PSEUDONYM_LENGTH = 20;

/** Makes a person's pseudonym. The same person stays the same, and without the key nobody can tell who it is. */
export type Pseudonym = (name: string) => string;

/** Pseudonyms of one erasure. */
export function pseudonymsOf(key: Uint8Array): Pseudonym {
  return (name) =>
    `erased-${createHmac('sha256', key).update(name).digest('hex').slice(0, PSEUDONYM_LENGTH)}`;
}

/** `user:…` and the same user's id have the same pseudonym. */
function actorOf(actor: string, pseudonym: Pseudonym): string {
  const [, kind = '', name = actor] = /^([a-z_]+:)?(.*)$/s.exec(actor) ?? [];
  return OWN_ACTORS.test(actor) ? actor : `${kind}${pseudonym(name)}`;
}

function inTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => inTexts(item, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, inTexts(member, change)]));
}

/** An entry of an erased tenant: nobody in it is named, and no text is left that a person may have written. */
export function withoutPersons(facts: AuditFacts, pseudonym: Pseudonym): Pseudonymised {
  return {
    actor: facts.actor === null ? null : actorOf(facts.actor, pseudonym),
    user_id: facts.user_id === null ? null : pseudonym(facts.user_id),
    resource_id:
      facts.resource_id !== null && PERSONAL_RESOURCES.test(facts.resource_type)
        ? pseudonym(facts.resource_id)
        : facts.resource_id,
    details: inTexts(facts.details, (text) => (IMPERSONAL.test(text) ? text : pseudonym(text))) as Record<
      string,
      unknown
    >,
  };
}
