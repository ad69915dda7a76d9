import { describe, expect, it } from 'vitest';
import { standingOf, type StandingFacts } from './standing.ts';

const DAY_MS = 86_400_000;
const since = new Date('2026-03-01T10:00:00Z');
const after = (days: number, ms = 0): Date => new Date(since.getTime() + days * DAY_MS + ms);
const of = (status: string, more: Partial<StandingFacts> = {}): StandingFacts => ({
  status,
  pastDueSince: null,
  stripeSubscriptionId: 'sub_1',
  ...more,
});

describe('the standing of a tenant', () => {
  it.each(['active', 'trialing', 'incomplete'])('is good with a subscription that is %s', (status) => {
    expect(standingOf(of(status), 14, after(100))).toEqual({ standing: 'good', graceEndsAt: null });
  });

  it('is good without a subscription, and with one that an operator made, whatever its state', () => {
    expect(standingOf(undefined, 14, since).standing).toBe('good');
    for (const status of ['active', 'past_due', 'unpaid', 'paused'])
      expect(standingOf(of(status, { stripeSubscriptionId: null }), 14, since).standing).toBe('good');
  });

  it.each(['past_due', 'unpaid'])(
    'is grace until the days are over, to the millisecond, when it is %s',
    (status) => {
      const facts = of(status, { pastDueSince: since });
      expect(standingOf(facts, 14, since)).toEqual({ standing: 'grace', graceEndsAt: after(14) });
      expect(standingOf(facts, 14, after(14, -1)).standing).toBe('grace');
      expect(standingOf(facts, 14, after(14))).toEqual({ standing: 'read_only', graceEndsAt: null });
    },
  );

  it('has no grace where the setting says none', () => {
    expect(standingOf(of('past_due', { pastDueSince: since }), 0, since).standing).toBe('read_only');
  });

  it.each(['paused', 'a state of next year', 'canceled'])('reads only where it is %s', (status) => {
    expect(standingOf(of(status), 14, since).standing).toBe('read_only');
  });

  it('reads only where it is not known since when the payment fails', () => {
    expect(standingOf(of('past_due'), 14, since).standing).toBe('read_only');
  });
});
