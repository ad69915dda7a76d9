import { openServices } from '../../functions/services.ts';
import { carryAll } from '../../shared/domains/billing/catalog/carry.ts';
import { readSettings } from '../../shared/platform/config/settings.ts';

const USAGE = `usage: node tools/carry/main.ts

Makes the products, prices, meters, coupons and promotion codes of all plans and promotional codes at Stripe, in the account of
STRIPE_SECRET_KEY. It can be repeated: what is there already stays. Reads the app's settings from the environment.`;

async function main(args: readonly string[]): Promise<void> {
  if (args.length > 0) {
    process.stderr.write(`${USAGE}\n`);
    process.exitCode = 2;
    return;
  }
  const settings = readSettings();
  if (settings.STRIPE_SECRET_KEY === undefined) {
    process.stderr.write('STRIPE_SECRET_KEY is not set.\n');
    process.exitCode = 1;
    return;
  }
  const services = openServices(settings);
  try {
    const { carried, failed } = await carryAll(services);
    for (const name of carried) process.stdout.write(`carried ${name}\n`);
    for (const { name, error } of failed) process.stderr.write(`not carried: ${name}: ${reasonOf(error)}\n`);
    if (failed.length > 0) process.exitCode = 1;
  } finally {
    await services.close();
  }
}

/** A problem's message is its code only. Stripe's messages contain no secret but a shortened key. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
