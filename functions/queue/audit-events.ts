import { auditConsumer } from '../../shared/domains/audit/consume-audit.ts';
import { consume } from '../../shared/platform/bus/consume.ts';

consume('audit-events', auditConsumer);
