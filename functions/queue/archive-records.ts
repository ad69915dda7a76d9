import { queueConsumer } from '../../shared/platform/consume/consume.ts';
import { orchestrationOfMappingSql } from '../../shared/domains/mapping/ids.ts';
import { archiveConsumerOf } from '../../shared/domains/records/archive/archive-records.ts';

export const archiveRecords = queueConsumer('archive-records', [
  archiveConsumerOf(orchestrationOfMappingSql),
]);
