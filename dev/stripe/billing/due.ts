import { z } from 'zod';
import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import type { Due } from '../api/due.ts';
import { ownerOf, timeOf } from '../customers/customer-time.ts';
import { voidInvoice } from '../invoices/settle.ts';
import { billingSettings } from '../invoices/settings.ts';
import { refId } from '../objects/refs.ts';
import type { NoteKind } from '../store/store.ts';
import { firstPeriodEnd } from '../subscriptions/items.ts';
import { endSubscription, hasEnded } from '../subscriptions/status.ts';
import { endAsScheduled } from './cancellation.ts';
import { previewRenewal } from './preview.ts';
import { endTrial, renew } from './renew.ts';

const HOUR_SECONDS = 60 * 60;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** A first payment may be made for so long; then the subscription is given up. */
const INCOMPLETE_SECONDS = 23 * HOUR_SECONDS;
const TRIAL_WARNING_SECONDS = 3 * DAY_SECONDS;

/** The time that an announcement was made for, by what it announces: each is made once. */
const ANNOUNCED: NoteKind<number> = { name: 'announced', schema: z.number() };

interface Announcement {
  readonly key: string;
  readonly of: number;
  readonly secondsBefore: number;
  readonly tell: (context: Context) => void;
}

/** Something that is told some time before it happens, or as soon as that is possible. */
function announce(
  { store }: Context,
  { start_date }: Stripe.Subscription,
  { key, of, secondsBefore, tell }: Announcement,
): Due[] {
  if (store.getNote(ANNOUNCED, key) === of) return [];
  return [
    {
      key,
      at: Math.max(of - secondsBefore, start_date),
      run: (context) => {
        context.store.putNote(ANNOUNCED, key, of);
        tell(context);
      },
    },
  ];
}

function expireIncomplete(context: Context, id: string): void {
  const subscription = context.find('subscription', id);
  const at = timeOf(context, ownerOf(context, subscription));
  endSubscription(context, subscription, { at, status: 'incomplete_expired' });
  const invoice = context.store.get('invoice', refId(subscription.latest_invoice) ?? '');
  if (invoice?.status === 'open') voidInvoice(context, invoice);
}

function announceTrialEnd(context: Context, subscription: Stripe.Subscription): Due[] {
  const { id, status, trial_end } = subscription;
  if (status !== 'trialing' || trial_end === null) return [];
  return announce(context, subscription, {
    key: `${id} trial_will_end`,
    of: trial_end,
    secondsBefore: TRIAL_WARNING_SECONDS,
    tell: (inTime) => {
      inTime.emit('customer.subscription.trial_will_end', inTime.find('subscription', id));
    },
  });
}

/** Renewals are told of some days before; one of a period that is no longer than that is not. */
function announceRenewal(context: Context, subscription: Stripe.Subscription): Due[] {
  const { id, cancel_at, items, status } = subscription;
  const end = firstPeriodEnd(subscription);
  const secondsBefore = billingSettings(context).upcoming_days * DAY_SECONDS;
  const isShort = items.data.some((item) => end - item.current_period_start <= secondsBefore);
  const isRenewed = (cancel_at === null || cancel_at > end) && status !== 'unpaid';
  if (isShort || !isRenewed || secondsBefore === 0) return [];
  return announce(context, subscription, {
    key: `${id} upcoming`,
    of: end,
    secondsBefore,
    tell: (inTime) => {
      inTime.emit('invoice.upcoming', previewRenewal(inTime, inTime.find('subscription', id)));
    },
  });
}

/** The next thing that changes a subscription: its cancellation, the end of its trial or of its period. */
function nextChange(subscription: Stripe.Subscription): Due {
  const { id, cancel_at, status } = subscription;
  const end = firstPeriodEnd(subscription);
  if (cancel_at !== null && cancel_at <= end)
    return {
      key: `${id} cancel`,
      at: cancel_at,
      run: (context) => {
        endAsScheduled(context, context.find('subscription', id), cancel_at);
      },
    };
  const go = status === 'trialing' ? endTrial : renew;
  return {
    key: `${id} renew`,
    at: end,
    run: (context) => {
      go(context, context.find('subscription', id));
    },
  };
}

function duesOf(context: Context, subscription: Stripe.Subscription): Due[] {
  const { id, created, status } = subscription;
  if (status === 'paused' || hasEnded(subscription)) return [];
  if (status === 'incomplete')
    return [
      {
        key: `${id} expire`,
        at: created + INCOMPLETE_SECONDS,
        run: (inTime) => {
          expireIncomplete(inTime, id);
        },
      },
    ];
  return [
    ...announceTrialEnd(context, subscription),
    ...announceRenewal(context, subscription),
    nextChange(subscription),
  ];
}

/** What the subscriptions of a test clock, or of the machine's time, do by themselves. */
export function listSubscriptionDues(context: Context, testClock: string | null): Due[] {
  return context.store
    .list('subscription', ({ test_clock }) => test_clock === testClock)
    .flatMap((subscription) => duesOf(context, subscription));
}
