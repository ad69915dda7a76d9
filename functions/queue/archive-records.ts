import { queueConsumer } from '../../shared/platform/consume/consume.ts';
import { archiveConsumer } from '../../shared/domains/records/archive/archive-records.ts';

export const archiveRecords = queueConsumer('archive-records', [archiveConsumer]);
