import { describe, expect, it } from 'vitest';
import { nextStep, type NextStepFacts } from './next-step.ts';

const NOW = new Date('2026-03-10T00:00:00.000Z');
const END = '2026-03-31T00:00:00.000Z';
const ACTIVE: NextStepFacts = {
  status: 'active',
  current_period_end: END,
  trial_end: null,
  cancel_at: null,
  cancel_at_period_end: false,
  past_due_since: null,
  retry_at: null,
};

describe('what happens next', () => {
  it.each<[string, Partial<NextStepFacts>, string, string | null]>([
    ['an active one renews', {}, 'renews', END],
    ['one that ends with its period', { cancel_at_period_end: true }, 'cancels', END],
    ['one that ends earlier', { cancel_at: '2026-03-15T00:00:00Z' }, 'cancels', '2026-03-15T00:00:00Z'],
    ['one that ends after its renewal', { cancel_at: '2026-04-15T00:00:00Z' }, 'renews', END],
    [
      'a trial',
      { status: 'trialing', trial_end: '2026-03-20T00:00:00Z' },
      'trial_ends',
      '2026-03-20T00:00:00Z',
    ],
    [
      'a trial that ends with the subscription',
      { status: 'trialing', trial_end: END, cancel_at: END },
      'cancels',
      END,
    ],
    [
      'a payment that is tried again within the grace',
      { status: 'past_due', past_due_since: '2026-03-01T00:00:00Z', retry_at: '2026-03-12T00:00:00Z' },
      'payment_retry',
      '2026-03-12T00:00:00Z',
    ],
    [
      'a grace that ends before the next try',
      { status: 'past_due', past_due_since: '2026-03-01T00:00:00Z', retry_at: '2026-03-20T00:00:00Z' },
      'read_only',
      '2026-03-15T00:00:00.000Z',
    ],
    [
      'a grace that is over, and nothing is tried any more',
      { status: 'unpaid', past_due_since: '2026-02-01T00:00:00Z', retry_at: '2026-02-10T00:00:00Z' },
      'none',
      null,
    ],
    ['a first payment that is open', { status: 'incomplete' }, 'none', null],
    ['a pause', { status: 'paused' }, 'none', null],
    ['a state that this build does not know', { status: 'sleeping' }, 'none', null],
    [
      'a renewal whose event is late',
      { current_period_end: '2026-03-09T00:00:00Z' },
      'renews',
      '2026-03-09T00:00:00Z',
    ],
  ])('%s', (_title, facts, event, at) => {
    expect(nextStep({ ...ACTIVE, ...facts }, 14, NOW)).toEqual({ event, at });
  });
});
