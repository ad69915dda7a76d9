import { billingChangedConsumer } from '../../shared/domains/tenancy/consume-billing-changed.ts';
import { queueConsumer } from '../../shared/platform/consume/consume.ts';

export const billingChanges = queueConsumer('billing-changes', [billingChangedConsumer]);
