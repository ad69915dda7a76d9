import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openServices } from '../../functions/services.ts';
import { readSettings } from '../../shared/platform/config/settings.ts';
import { printReport } from './print-report.ts';
import { reconcile, type ReconcileOptions } from './reconcile.ts';

const USAGE = `usage: npm run reconcile -- [--core TIME] [--billing TIME] [--analytics TIME] [--since TIME] [--until TIME]
                          [--mend] [--json FILE] [--wait SECONDS]

Compares the three databases with each other, with the blobs and with Stripe, after a restore. Changes nothing without --mend.
  --core, --billing, --analytics   the moment to which this database was restored; leave out what was not restored
  --since                          compare from this time (default: a day before the earliest moment)
  --until                          when the last client was shut out (default: now)
  --mend                           bring right what a program can; may be repeated
  --json FILE                      write the whole report to a file
  --wait SECONDS                   how long the queues may take to get empty, with --mend (default: 600)
Times are RFC 3339. Reads the app's settings from the environment. Ends with 0 if nothing is left to do, with 3 if something is.
`;

/** Something is left that a person must do, or that --mend would. */
const DIFFERENCES_LEFT = 3;

class UsageError extends Error {}

function readTime(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const at = new Date(text);
  if (!/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/i.test(text) || Number.isNaN(at.getTime()))
    throw new UsageError(`--${name} ${text} is no RFC 3339 time`);
  return at;
}

function readArguments(args: readonly string[]): ReconcileOptions & { readonly json: string | undefined } {
  const time = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      core: time,
      billing: time,
      analytics: time,
      since: time,
      until: time,
      json: { type: 'string' },
      wait: { type: 'string', default: '600' },
      mend: { type: 'boolean', default: false },
    },
  });
  const moments = Object.fromEntries(
    (['core', 'billing', 'analytics'] as const).flatMap((name) => {
      const at = readTime(name, values[name]);
      return at === undefined ? [] : [[name, at]];
    }),
  );
  if (Object.keys(moments).length === 0) throw new UsageError('name the moment of at least one database');
  const since = readTime('since', values.since);
  const until = readTime('until', values.until);
  const seconds = Number(values.wait);
  if (!(seconds >= 0)) throw new UsageError(`--wait ${values.wait} is no number of seconds`);
  return {
    moments,
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    mend: values.mend,
    waitMs: seconds * 1000,
    json: values.json,
    onStep: (step) => process.stderr.write(`comparing ${step}\n`),
  };
}

async function main(args: readonly string[]): Promise<void> {
  let options: ReturnType<typeof readArguments>;
  try {
    options = readArguments(args);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  const services = openServices(readSettings());
  try {
    const report = await reconcile(services, options);
    const json = `${JSON.stringify(report, null, 2)}\n`;
    if (options.json !== undefined) writeFileSync(options.json, json, { mode: 0o600 });
    process.stdout.write(printReport(report));
    if (report.findings.some(({ mended }) => !mended)) process.exitCode = DIFFERENCES_LEFT;
  } finally {
    await services.close();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
