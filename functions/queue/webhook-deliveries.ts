import { deliveriesConsumer } from '../../shared/domains/webhooks/deliveries/send-deliveries.ts';
import { queueConsumer } from '../../shared/platform/consume/consume.ts';

export const webhookDeliveries = queueConsumer('webhook-deliveries', [deliveriesConsumer]);
