import { ok, problem, warning, type Finding } from '../check.ts';

/** Timers run every minute, and cursors, expiries and periods compare times of several machines. */
const NOTICED_S = 5;
/**
 * Stripe's signatures are refused after 300 s, managed identities' tokens and signed requests of storage soon after. A message
 * takes some seconds too, so the limit is below that.
 */
const REFUSED_S = 240;

const REMEDY =
  'synchronise the clock that is wrong (timedatectl set-ntp true; in Azure it is the host’s, so most likely this machine’s)';

/** Another machine's time, and when it was asked and answered by the own clock. */
export interface Reading {
  readonly theirs: Date;
  readonly asked: Date;
  readonly answered: Date;
  /** What their time is rounded down to: a `Date` header has no fractions of a second. */
  readonly stepMs?: number;
}

/** Judges the difference of two clocks. Somewhere between the question and the answer, both showed the same. */
export function judgeSkew(name: string, { theirs, asked, answered, stepMs = 0 }: Reading): Finding {
  const latest = theirs.getTime() + stepMs;
  const aheadMs = Math.max(0, theirs.getTime() - answered.getTime());
  const behindMs = Math.max(0, asked.getTime() - latest);
  const seconds = Math.max(aheadMs, behindMs) / 1000;
  const text =
    seconds === 0
      ? `${name} and this machine agree`
      : `${name} is ${seconds.toFixed(1)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine`;
  if (seconds <= NOTICED_S) return ok(text);
  if (seconds <= REFUSED_S) return warning(text, REMEDY);
  return problem(`${text}: signatures of Stripe are refused after 300 s, tokens soon after`, REMEDY);
}
