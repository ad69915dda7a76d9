import { openServices } from '../../functions/services.ts';
import { dataKeysRewrap } from '../../shared/domains/keys/data-keys-rewrap.ts';
import { readSettings } from '../../shared/platform/config/settings.ts';
import { runJob } from '../../shared/platform/jobs/job.ts';

// A process that wraps data keys again, for a test that kills it.

const services = openServices(readSettings());
await services.crossTenant.core.query('select 1');
process.send?.('ready');
await runJob(services, dataKeysRewrap, { triggeredBy: 'test' });
await services.close();
process.send?.('done');
process.disconnect();
