import { parseArgs } from 'node:util';
import { StackRunningError } from './stack/local-folder.ts';
import { describeNextSteps } from './stack/next-steps.ts';
import { NO_PROGRESS, showProgress } from './stack/progress.ts';
import { LOCAL_FOLDER, startStack } from './stack/start-stack.ts';
import type { Stack } from './stack/start-stack.ts';

const USAGE = `usage: npm start [-- --port N] [--fresh] [--telemetry] [--quiet | --verbose] [--setting NAME=VALUE]… [--folder DIR] [--app DIR]

Runs the whole backend on this machine until Ctrl-C. Data stays in .local/. With STRIPE_SECRET_KEY=sk_test_… in the environment (or by
--setting), billing uses that account at Stripe instead of a stand-in.
  --port N   first port tried for the HTTP API (default: PORT, else 7071); the next free one is taken
  --fresh    delete .local/ first
  --telemetry  collect traces and metrics: npm run trace -- ID prints a trace
  --quiet    print only errors; logs are in .local/logs/
  --verbose  list every function, and log every invocation
  --setting  an app setting, over the stack's own: AzureWebJobs.records-expire.Disabled=true disables a function
  --folder   keep data elsewhere than in .local/
  --app      serve this built app instead of building the repository
`;

interface StartArguments {
  port: number | undefined;
  fresh: boolean;
  telemetry: boolean;
  quiet: boolean;
  verbose: boolean;
  settings: Record<string, string>;
  folder: string;
  appDir: string | undefined;
}

/** Parses pairs `NAME=VALUE`. Throws when one is not a pair. */
function readSettings(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=');
      if (equals <= 0) throw new Error(`${pair} is not NAME=VALUE`);
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
}

function readArguments(args: string[]): StartArguments | undefined {
  try {
    const { values } = parseArgs({
      args,
      options: {
        port: { type: 'string' },
        fresh: { type: 'boolean', default: false },
        telemetry: { type: 'boolean', default: false },
        quiet: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
        setting: { type: 'string', multiple: true, default: [] },
        folder: { type: 'string', default: LOCAL_FOLDER },
        app: { type: 'string' },
      },
    });
    const { fresh, telemetry, quiet, verbose, folder, app: appDir } = values;
    const settings = readSettings(values.setting);
    const text = values.port ?? process.env['PORT'];
    const port = text === undefined || text === '' ? undefined : Number(text);
    const valid = port === undefined || (Number.isInteger(port) && port > 0 && port < 65_536);
    return valid ? { port, fresh, telemetry, quiet, verbose, settings, folder, appDir } : undefined;
  } catch {
    return undefined;
  }
}

/** `asked` resolves at the first stop signal. A second Ctrl-C ends this process at once; the guard then ends the parts. */
function waitForStopSignal(): { asked: Promise<void>; aborted: AbortSignal } {
  const controller = new AbortController();
  const asked = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (controller.signal.aborted && signal === 'SIGINT') {
          process.exit(130);
        }
        controller.abort();
        resolve();
      });
    }
  });
  return { asked, aborted: controller.signal };
}

/** Holds the host's lines back while progress is shown. */
function makeHostOutput(quiet: boolean): { write: (text: string) => void; release: () => void } {
  let held: string[] | undefined = [];
  return {
    write: (text) => {
      if (quiet) {
        return;
      }
      if (held === undefined) {
        process.stdout.write(text);
      } else {
        held.push(text);
      }
    },
    release: () => {
      process.stdout.write((held ?? []).join(''));
      held = undefined;
    },
  };
}

async function main(): Promise<void> {
  const args = readArguments(process.argv.slice(2));
  if (args === undefined) {
    process.stderr.write(USAGE);
    process.exitCode = 2;
    return;
  }
  const { asked, aborted } = waitForStopSignal();
  const hostOutput = makeHostOutput(args.quiet);
  const progress = args.quiet ? NO_PROGRESS : showProgress(process.stdout);
  let stack: Stack;
  try {
    stack = await startStack({
      folder: args.folder,
      fresh: args.fresh,
      telemetry: args.telemetry,
      verbose: args.verbose,
      settings: args.settings,
      withOidc: true,
      progress,
      signal: aborted,
      onHostOutput: hostOutput.write,
      onEvent: (text) => process.stderr.write(`${text}\n`),
      ...(args.port === undefined ? {} : { port: args.port }),
      ...(args.appDir === undefined ? {} : { appDir: args.appDir }),
    });
  } catch (error) {
    if (!aborted.aborted) {
      hostOutput.release();
      const name = error instanceof StackRunningError ? '' : 'The stack could not start.\n';
      process.stderr.write(`${name}${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
    return;
  }
  hostOutput.release();
  progress.note(describeNextSteps(stack));
  await asked;
  progress.note('\nstopping …');
  await stack.stop();
}

await main();
