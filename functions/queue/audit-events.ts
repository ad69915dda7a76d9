import {
  alertResolvedConsumer,
  alertTriggeredConsumer,
  auditConsumer,
  thresholdConsumer,
} from '../../shared/domains/audit/consume-audit.ts';
import { queueConsumer } from '../../shared/platform/consume/consume.ts';

export const auditEvents = queueConsumer('audit-events', [
  auditConsumer,
  thresholdConsumer,
  alertTriggeredConsumer,
  alertResolvedConsumer,
]);
