import { usageConsumer } from '../../shared/domains/billing/metering/consume-usage.ts';
import { queueConsumer } from '../../shared/platform/consume/consume.ts';

export const usageEvents = queueConsumer('usage-events', [usageConsumer]);
