import { parseArgs } from 'node:util';
import { readStackFile } from '../client/stack-file.ts';
import { showBilling } from './billing.ts';
import { showDay } from './day.ts';
import { showPeople } from './people.ts';

const USAGE = `usage: npm run demo [-- [billing | people] [--folder DIR]]

Shows the running stack: a day of the tenant acme with "billing", how globex becomes a paying tenant; with "people", how
people join a new tenant, work in it, and leave it with everything.
--folder: that of \`npm start -- --folder\`.`;

const DEMOS = { day: showDay, billing: showBilling, people: showPeople };

function readArguments(args: readonly string[]) {
  try {
    const options = { folder: { type: 'string' } } as const;
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    const [name = 'day', ...rest] = positionals;
    const demo = Object.entries(DEMOS).find(([known]) => known === name)?.[1];
    return demo === undefined || rest.length > 0 ? undefined : { demo, folder: values.folder };
  } catch {
    return undefined;
  }
}

async function main(args: readonly string[]): Promise<void> {
  const asked = readArguments(args);
  if (asked === undefined) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  await asked.demo(readStackFile(asked.folder));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
