import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { BICEP_CACHE, BICEP_VERSION, findBicep } from './bicep-compiler.ts';

/** The templates. */
export const BICEP_FOLDER = path.join(import.meta.dirname, '../../bicep');

/** The environments that have a parameter file. */
export const ENVIRONMENTS = ['dev', 'stage', 'prod'] as const;

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
      if (error !== null && typeof error.code !== 'number') reject(error);
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

async function compileInto(
  folder: string,
  variables: DeploymentVariables,
  environments: readonly string[],
): Promise<void> {
  const bicep = await findBicep();
  const diagnostics = new Set<string>();
  const ask = async (...args: string[]): Promise<void> => {
    for (const line of readDiagnostics(await call(bicep, args, variables), folder)) diagnostics.add(line);
  };
  const file = (name: string): string => path.join(folder, name);
  // Lints too, the modules as well.
  await ask('build', file('main.bicep'), '--outfile', file('main.json'));
  for (const environment of environments) {
    const parameters = file(`${environment}.bicepparam`);
    await ask('build-params', parameters, '--outfile', file(`${environment}.parameters.json`));
    await ask(
      'snapshot',
      parameters,
      '--mode',
      'overwrite',
      '--subscription-id',
      PREDICTED.subscription,
      '--tenant-id',
      PREDICTED.tenant,
    );
  }
  await writeFile(file('diagnostics.json'), JSON.stringify([...diagnostics]));
}

async function readCompiled(folder: string, environments: readonly string[]): Promise<CompiledTemplates> {
  const read = (name: string): Promise<string> => readFile(path.join(folder, name), 'utf8').catch(() => '');
  const entries = await Promise.all(
    environments.map(async (environment) => {
      const parameters = await read(`${environment}.parameters.json`);
      return [environment, { parameters, snapshot: await read(`${environment}.snapshot.json`) }] as const;
    }),
  );
  return {
    template: await read('main.json'),
    environments: new Map(entries),
    diagnostics: JSON.parse(await read('diagnostics.json')) as string[],
    folder,
  };
}

/**
 * Compiles, lints and predicts `bicep/`, in `.local/bicep/`. The result is kept: the same files and variables are compiled
 * once, by whichever process comes first. `extra` are more parameter files, by name without extension.
 * @throws NoBicepError where no compiler can be had.
 */
export async function compileTemplates(
  variables: DeploymentVariables = EXAMPLE_VARIABLES,
  extra: Readonly<Record<string, string>> = {},
): Promise<CompiledTemplates> {
  const environments = [...ENVIRONMENTS, ...Object.keys(extra)];
  const hash = createHash('sha256').update(JSON.stringify([BICEP_VERSION, variables, extra]));
  for (const file of globSync('**/*', { cwd: BICEP_FOLDER, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const name = path.join(file.parentPath, file.name);
    hash.update(path.relative(BICEP_FOLDER, name)).update(readFileSync(name));
  }
  const builds = path.join(BICEP_CACHE, 'builds');
  const finished = path.join(builds, hash.digest('hex').slice(0, 16));
  if (existsSync(finished)) return readCompiled(finished, environments);
  await mkdir(builds, { recursive: true });
  const working = await mkdtemp(path.join(builds, 'working-'));
  try {
    await cp(BICEP_FOLDER, working, { recursive: true });
    for (const [name, text] of Object.entries(extra)) {
      await writeFile(path.join(working, `${name}.bicepparam`), text);
    }
    await compileInto(working, variables, environments);
    await rename(working, finished).catch((error: unknown) => {
      // Another process was faster, with the same result.
      if (!existsSync(finished)) throw error;
    });
  } finally {
    await rm(working, { recursive: true, force: true });
  }
  return readCompiled(finished, environments);
}
