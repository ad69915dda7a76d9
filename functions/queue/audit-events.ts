import { auditConsumer } from '../../shared/audit/consume-audit.ts';
import { consume } from '../../shared/bus/consume.ts';

consume('audit-events', auditConsumer);
