import { consume } from '../../shared/platform/bus/consume.ts';
import { archiveConsumer } from '../../shared/domains/records/archive/archive-records.ts';

consume('archive-records', archiveConsumer);
