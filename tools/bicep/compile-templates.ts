import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BICEP_CACHE, BICEP_VERSION, findBicep } from './bicep-compiler.ts';

/** The templates. */
export const BICEP_FOLDER = path.join(import.meta.dirname, '../../bicep');

/** The environments that have a parameter file. */
export const ENVIRONMENTS = ['dev', 'stage', 'prod'] as const;

/** The parameter file that azd uses: a copy of one of the others, which is not committed. */
export const CHOSEN = 'main.bicepparam';

/** Ids for the prediction of a deployment. They are no one's. */
const PREDICTED = {
  subscription: '00000000-0000-0000-0000-000000000001',
  tenant: '00000000-0000-0000-0000-000000000002',
} as const;

/** What the compiler made, as text. */
export interface CompiledTemplates {
  /** The template: `main.bicep` as JSON, with every module in it. */
  readonly template: string;
  /** By parameter file: the parameters as JSON, and the resources that the deployment would make, with their values. */
  readonly environments: ReadonlyMap<string, { readonly parameters: string; readonly snapshot: string }>;
  /** One line for each error and warning of compiler and linter. Empty when all is well. */
  readonly diagnostics: readonly string[];
  /** Where the files are. */
  readonly folder: string;
}

/** Settings of a deployment that the parameter files read from the environment. */
export type DeploymentVariables = Readonly<Record<string, string>>;

/** An example deployment, after its first provision: what the parameter files read when nothing else is given. */
export const EXAMPLE_VARIABLES: DeploymentVariables = {
  AZURE_LOCATION: 'swedencentral',
  AZURE_PRINCIPAL_ID: '00000000-0000-0000-0000-00000000000a',
  AZURE_PRINCIPAL_NAME: 'deployer@example.com',
  AZURE_PRINCIPAL_TYPE: 'User',
  API_HOST_NAME: 'api.example.com',
  ALERT_EMAILS: 'oncall@example.com',
  BUDGET_START_DATE: '2026-12-01',
  GATEWAY_CERTIFICATE: 'gateway-certificate',
};

interface Output {
  readonly stderr: string;
  readonly failed: boolean;
}

function call(bicep: string, args: readonly string[], variables: DeploymentVariables): Promise<Output> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, DOTNET_SYSTEM_GLOBALIZATION_INVARIANT: '1', ...variables };
    execFile(bicep, args, { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number')
        reject(new Error(error.message, { cause: error }));
      else resolve({ stderr: `${stderr}\n${stdout}`, failed: error !== null });
    });
  });
}

/** The compiler's lines `file(line,column) : Warning code: text`. Anything else that it says with a failure is one too. */
function readDiagnostics({ stderr, failed }: Output, folder: string): string[] {
  const lines = stderr.split('\n').map((line) => line.trim());
  const found = lines
    .filter((line) => / : (Error|Warning|Info) /.test(line))
    .map((line) => line.replaceAll(`${folder}/`, 'bicep/'));
  return failed && found.length === 0 ? [lines.filter((line) => line !== '').join(' ')] : found;
}

type Compile = (folder: string, ask: (...args: string[]) => Promise<void>) => Promise<void>;

const PREDICT = [
  '--mode',
  'overwrite',
  '--subscription-id',
  PREDICTED.subscription,
  '--tenant-id',
  PREDICTED.tenant,
];

/** How long a compilation of another process may take, on a busy machine. Then it counts as killed. */
const STALE_MS = 10 * 60_000;
const POLL_MS = 200;

/** Whether this process may make `folder`; false when another one has made it meanwhile. */
async function takeTurn(folder: string): Promise<boolean> {
  const lock = `${folder}.lock`;
  for (;;) {
    if (existsSync(folder)) return false;
    try {
      await mkdir(lock);
      return true;
    } catch {
      const since = await stat(lock).then(
        ({ mtimeMs }) => mtimeMs,
        () => Date.now(),
      );
      if (Date.now() - since > STALE_MS) await rm(lock, { recursive: true, force: true });
      await delay(POLL_MS);
    }
  }
}

/** Everything that the result depends on. */
function hashOf(variables: DeploymentVariables, more: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify([BICEP_VERSION, variables, more]));
  for (const file of globSync('**/*', { cwd: BICEP_FOLDER, withFileTypes: true })) {
    const name = path.join(file.parentPath, file.name);
    if (file.isFile() && file.name !== CHOSEN)
      hash.update(path.relative(BICEP_FOLDER, name)).update(readFileSync(name));
  }
  return hash.digest('hex').slice(0, 16);
}

/** The folder of a compilation's results. The same files and variables are compiled once, by the process that comes first. */
async function compileOnce(
  variables: DeploymentVariables,
  more: readonly string[],
  compile: Compile,
): Promise<string> {
  const builds = path.join(BICEP_CACHE, 'builds');
  const finished = path.join(builds, hashOf(variables, more));
  await mkdir(builds, { recursive: true });
  if (!(await takeTurn(finished))) return finished;
  const working = await mkdtemp(path.join(builds, 'working-'));
  try {
    const bicep = await findBicep();
    await cp(BICEP_FOLDER, working, { recursive: true });
    const diagnostics = new Set<string>();
    await compile(working, async (...args) => {
      for (const line of readDiagnostics(await call(bicep, args, variables), working)) diagnostics.add(line);
    });
    await writeFile(path.join(working, 'diagnostics.json'), JSON.stringify([...diagnostics]));
    await rename(working, finished);
  } finally {
    await rm(working, { recursive: true, force: true });
    await rm(`${finished}.lock`, { recursive: true, force: true });
  }
  return finished;
}

const read = (folder: string, name: string): Promise<string> =>
  readFile(path.join(folder, name), 'utf8').catch(() => '');

async function readDiagnosticsFile(folder: string): Promise<string[]> {
  return JSON.parse(await readFile(path.join(folder, 'diagnostics.json'), 'utf8')) as string[];
}

/**
 * Compiles, lints and predicts `bicep/`, in `.local/bicep/`.
 * @throws NoBicepError where no compiler can be had.
 */
export async function compileTemplates(
  variables: DeploymentVariables = EXAMPLE_VARIABLES,
): Promise<CompiledTemplates> {
  const folder = await compileOnce(variables, [], async (working, ask) => {
    const file = (name: string): string => path.join(working, name);
    // Lints too, the modules as well.
    await ask('build', file('main.bicep'), '--outfile', file('main.json'));
    for (const environment of ENVIRONMENTS) {
      const parameters = file(`${environment}.bicepparam`);
      await ask('build-params', parameters, '--outfile', file(`${environment}.parameters.json`));
      await ask('snapshot', parameters, ...PREDICT);
    }
  });
  const entries = await Promise.all(
    ENVIRONMENTS.map(async (environment) => {
      const parameters = await read(folder, `${environment}.parameters.json`);
      return [
        environment,
        { parameters, snapshot: await read(folder, `${environment}.snapshot.json`) },
      ] as const;
    }),
  );
  return {
    template: await read(folder, 'main.json'),
    environments: new Map(entries),
    diagnostics: await readDiagnosticsFile(folder),
    folder,
  };
}

/**
 * What a parameter file with this text would deploy: the compiler's prediction as JSON.
 * @throws Error with the compiler's errors and warnings; NoBicepError where no compiler can be had.
 */
export async function predictDeployment(
  parameterFile: string,
  variables: DeploymentVariables = EXAMPLE_VARIABLES,
): Promise<string> {
  const folder = await compileOnce(variables, [parameterFile], async (working, ask) => {
    const parameters = path.join(working, 'asked.bicepparam');
    await writeFile(parameters, parameterFile);
    await ask('snapshot', parameters, ...PREDICT);
  });
  const diagnostics = await readDiagnosticsFile(folder);
  if (diagnostics.length > 0) throw new Error(diagnostics.join('\n'));
  return read(folder, 'asked.snapshot.json');
}
