import {
  alertResolvedConsumer,
  alertTriggeredConsumer,
  auditConsumer,
  thresholdConsumer,
} from '../../shared/domains/audit/consume-audit.ts';
import { factOfAudit, factOfThreshold } from '../../shared/domains/webhooks/facts/audited-facts.ts';
import { withWebhooks } from '../../shared/domains/webhooks/with-webhooks.ts';
import { queueConsumer } from '../../shared/platform/consume/consume.ts';

export const auditEvents = queueConsumer('audit-events', [
  withWebhooks(auditConsumer, factOfAudit),
  withWebhooks(thresholdConsumer, factOfThreshold),
  alertTriggeredConsumer,
  alertResolvedConsumer,
]);
