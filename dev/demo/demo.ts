import { readStackFile } from '../client/stack-file.ts';
import { showBilling } from './billing.ts';
import { showDay } from './day.ts';

const USAGE = `usage: npm run demo [-- billing]

Shows the running stack: a day of the tenant acme or, with "billing", how globex becomes a paying tenant.`;

const DEMOS = { day: showDay, billing: showBilling };

async function main([name = 'day', ...rest]: readonly string[]): Promise<void> {
  const demo = Object.entries(DEMOS).find(([known]) => known === name)?.[1];
  if (demo === undefined || rest.length > 0) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  await demo(readStackFile());
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
