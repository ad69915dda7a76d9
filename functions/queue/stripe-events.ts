import { stripeEventsConsumer } from '../../shared/domains/billing/events/consume-events.ts';
import { queueConsumer } from '../../shared/platform/consume/consume.ts';

export const stripeEvents = queueConsumer('stripe-events', [stripeEventsConsumer]);
