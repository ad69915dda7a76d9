import { openServices } from '../../functions/services.ts';
import { tenantTables } from '../../functions/tenant-tables.ts';
import { runErasures } from '../../shared/domains/erasure/erasure-job.ts';
import { readSettings } from '../../shared/platform/config/settings.ts';

// A process that erases, to be killed. It says when it begins, and ends when it is done.

const services = openServices(readSettings());
process.stdout.write('begins\n');
await runErasures({
  services,
  tables: tenantTables,
  now: new Date(process.argv[2] ?? ''),
  hasTime: () => true,
});
await services.close();
process.stdout.write('done\n');
