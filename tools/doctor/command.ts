import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { CHECKS, PUBLIC_CHECKS } from './checks.ts';
import { examine, worstOf } from './examine.ts';
import { readGiven } from './given-settings.ts';
import { secretHider } from './hide-secrets.ts';
import { Patient } from './patient.ts';
import { reportJson, reportTable } from './report.ts';
import { findSettings, NoSettingsError, type Source } from './settings-source.ts';

const USAGE = `usage: npm run doctor [-- OPTIONS]

Checks a deployment, changes nothing, and prints what is wrong and what to do. By default it examines the settings of the
environment; without any there, the running local stack.

  --settings FILE  the settings of a local.settings.json, or of az functionapp config appsettings list (- is standard input)
  --local          the running local stack (.local/stack.json)
  --url URL        the public side at URL; with none of the above and no settings, only that
  --instances N    how many instances of the app there can be, for the databases' connections
  --ca FILE        a certificate authority (PEM) that is trusted too, for --url
  --json           for machines

Exit code: 0 all is well, 1 there is a problem, 2 nothing could be examined. MIGRATE_CORE_URL, MIGRATE_BILLING_URL and
MIGRATE_ANALYTICS_URL, as for npm run migrate, let it read the lists of migrations.`;

const CLOSE_MS = 1_000;

/** What a run of the command prints, and its exit code. */
export interface Outcome {
  readonly code: 0 | 1 | 2;
  readonly stdout: string;
  readonly stderr: string;
  /** Closes what was opened, after printing. It waits a second at most for what does not answer. */
  readonly close: () => Promise<void>;
}

/** Where the command runs. */
export interface Surroundings {
  readonly environment: NodeJS.ProcessEnv;
  /** Whether the report of a person has colours. */
  readonly hasColours: boolean;
}

class UsageError extends Error {}

interface Arguments {
  readonly file: string | undefined;
  readonly local: boolean;
  readonly url: string | undefined;
  readonly instances: number | undefined;
  readonly authority: string | undefined;
  readonly json: boolean;
  readonly help: boolean;
}

function readArguments(args: readonly string[]): Arguments {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        settings: { type: 'string' },
        local: { type: 'boolean', default: false },
        url: { type: 'string' },
        instances: { type: 'string' },
        ca: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : '', { cause: error });
  }
  const { url, instances } = values;
  if (url !== undefined && !/^https?:\/\/[^/]/.test(url)) throw new UsageError('--url needs https://…');
  if (url !== undefined && !URL.canParse(url)) throw new UsageError('--url is not a URL');
  if (instances !== undefined && !/^[1-9]\d{0,4}$/.test(instances))
    throw new UsageError('--instances needs a number');
  if (values.local && values.settings !== undefined)
    throw new UsageError('--local and --settings exclude each other');
  return {
    file: values.settings,
    local: values.local,
    url,
    instances: instances === undefined ? undefined : Number(instances),
    authority: values.ca === undefined ? undefined : readFileSync(values.ca, 'utf8'),
    json: values.json,
    help: values.help,
  };
}

/** What is examined; undefined: only the public side. */
function findSource(given: Arguments, environment: NodeJS.ProcessEnv): Source | undefined {
  try {
    return findSettings({ file: given.file, local: given.local }, environment);
  } catch (error) {
    if (
      error instanceof NoSettingsError &&
      given.url !== undefined &&
      given.file === undefined &&
      !given.local
    )
      return undefined;
    throw error;
  }
}

async function run(given: Arguments, { environment, hasColours }: Surroundings): Promise<Outcome> {
  const source = findSource(given, environment);
  const settings = source?.given ?? readGiven({});
  const owners = source?.owners ?? {};
  const url = given.url ?? source?.url;
  const patient = new Patient({
    given: settings,
    owners,
    url,
    instances: given.instances,
    authorities: given.authority === undefined ? [] : [given.authority],
  });
  const at = new Date();
  const start = performance.now();
  const examined = await examine(source === undefined ? PUBLIC_CHECKS : CHECKS, patient);
  const subject = source === undefined ? `${url ?? ''}, from outside` : source.name;
  const head = { subject, at, ms: Math.round(performance.now() - start) };
  const hide = secretHider(settings.raw, Object.values(owners));
  return {
    code: worstOf(examined.map(({ result }) => result)) === 'problem' ? 1 : 0,
    stdout: given.json ? reportJson(examined, head, hide) : reportTable(examined, head, hide, hasColours),
    stderr: '',
    // Servers log a connection that only breaks off. What does not answer is not waited for.
    close: () => Promise.race([patient.close(), delay(CLOSE_MS)]),
  };
}

const nothingToClose = { close: () => Promise.resolve() };

/** Runs `npm run doctor` with these arguments. Never rejects. */
export async function runCommand(args: readonly string[], surroundings: Surroundings): Promise<Outcome> {
  try {
    const given = readArguments(args);
    if (!given.help) return await run(given, surroundings);
    return { code: 0, stdout: `${USAGE}\n`, stderr: '', ...nothingToClose };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const stderr = error instanceof UsageError ? `${text}\n\n${USAGE}\n` : `${text}\n`;
    return { code: 2, stdout: '', stderr, ...nothingToClose };
  }
}
