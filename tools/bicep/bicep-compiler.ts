import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The version that the templates are written for. Older ones lack types, and `snapshot` without a feature flag. */
export const BICEP_VERSION = '0.49.2';
const PACKAGE = 'Azure.Bicep.CommandLine.linux-x64';

/** Everything that is made of the templates. Nothing here is committed. */
export const BICEP_CACHE = path.join(import.meta.dirname, '../../.local/bicep');

/** A project that restores one package and nothing else, not even a framework. */
const RESTORE_PROJECT = `<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <TargetFramework>netstandard2.0</TargetFramework>
    <DisableImplicitFrameworkReferences>true</DisableImplicitFrameworkReferences>
  </PropertyGroup>
  <ItemGroup><PackageDownload Include="${PACKAGE}" Version="[${BICEP_VERSION}]" /></ItemGroup>
</Project>
`;

/** No compiler can be had here. The message says why, and what to install. */
export class NoBicepError extends Error {
  override name = 'NoBicepError';
}

/** Whether `version` is `wanted` or newer. Both are like `0.49.2`. */
export function isAtLeast(version: string, wanted: string): boolean {
  const [a, b] = [version, wanted].map((text) => text.split('.').map(Number));
  for (let part = 0; part < 3; part += 1) {
    const difference = (a?.[part] ?? 0) - (b?.[part] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** The version of a program's `bicep`; undefined when it does not run. */
async function versionOf(command: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(command, ['--version']);
    return /\d+\.\d+\.\d+/.exec(stdout)?.[0];
  } catch {
    return undefined;
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Restores the compiler from NuGet. Several processes may do so at once. */
async function restore(): Promise<string> {
  const packages = path.join(BICEP_CACHE, 'packages');
  const compiler = path.join(packages, PACKAGE.toLowerCase(), BICEP_VERSION, 'tools/bicep');
  if (await exists(compiler)) return compiler;
  await mkdir(BICEP_CACHE, { recursive: true });
  const project = await mkdtemp(path.join(BICEP_CACHE, 'restore-'));
  try {
    await writeFile(path.join(project, 'restore.csproj'), RESTORE_PROJECT);
    await run('dotnet', ['restore', project, '--packages', packages], {
      env: { ...process.env, DOTNET_CLI_TELEMETRY_OPTOUT: '1', DOTNET_NOLOGO: '1' },
    });
  } finally {
    await rm(project, { recursive: true, force: true });
  }
  return compiler;
}

/**
 * The path of a Bicep compiler: `bicep` on the PATH if it is new enough, else the NuGet package, restored by `dotnet`.
 * @throws NoBicepError where neither can be had.
 */
export async function findBicep(): Promise<string> {
  const found = await versionOf('bicep');
  if (found !== undefined && isAtLeast(found, BICEP_VERSION)) return 'bicep';
  const old = found === undefined ? 'no bicep on the PATH' : `bicep on the PATH is ${found}`;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new NoBicepError(`${old}: install Bicep ${BICEP_VERSION} or later`);
  }
  try {
    await run('dotnet', ['--version']);
  } catch {
    throw new NoBicepError(`${old}, and no dotnet: install Bicep ${BICEP_VERSION} or later, or a .NET SDK`);
  }
  try {
    return await restore();
  } catch (error) {
    const why = error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
    throw new NoBicepError(`${old}, and dotnet could not restore ${PACKAGE} ${BICEP_VERSION}:\n${why}`, {
      cause: error,
    });
  }
}
