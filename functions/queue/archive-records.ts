import { consume } from '../../shared/bus/consume.ts';
import { archiveConsumer } from '../../shared/records/archive-records.ts';

consume('archive-records', archiveConsumer);
