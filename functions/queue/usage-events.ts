import { usageConsumer } from '../../shared/domains/billing/consume-usage.ts';
import { consume } from '../../shared/platform/bus/consume.ts';

consume('usage-events', usageConsumer);
