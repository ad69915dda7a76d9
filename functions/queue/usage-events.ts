import { usageConsumer } from '../../shared/billing/consume-usage.ts';
import { consume } from '../../shared/bus/consume.ts';

consume('usage-events', usageConsumer);
