import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { readLockFile } from './lock-file.ts';

interface Component {
  readonly purl?: string | undefined;
  readonly components?: readonly Component[] | undefined;
}

const component: z.ZodType<Component> = z.object({
  purl: z.string().optional(),
  get components() {
    return z.array(component).optional();
  },
});

const document = z.object({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.string(),
  components: z.array(component),
});

/** An SBOM in a file. */
export interface Sbom {
  readonly specVersion: string;
  /** `pkg:npm/name@version` of each component. */
  readonly purls: ReadonlySet<string>;
}

function flatten(components: readonly Component[]): string[] {
  return components.flatMap(({ purl, components: inner }) => [
    ...(purl === undefined ? [] : [purl.replace(/\?.*/, '')]),
    ...flatten(inner ?? []),
  ]);
}

const written = z.looseObject({
  components: z.array(
    z.looseObject({
      'bom-ref': z.string(),
      properties: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
    }),
  ),
  dependencies: z.array(z.looseObject({ ref: z.string(), dependsOn: z.array(z.string()).optional() })),
});

/** Takes out what an install script of a development package has put beside the locked packages: no deployment has it. */
function dropExtraneous(file: string): void {
  const sbom = written.parse(JSON.parse(readFileSync(file, 'utf8')));
  const dropped = new Set(
    sbom.components
      .filter(({ properties }) => properties.some(({ name }) => name === 'cdx:npm:package:extraneous'))
      .map((one) => one['bom-ref']),
  );
  if (dropped.size === 0) return;
  const kept = {
    ...sbom,
    components: sbom.components.filter((one) => !dropped.has(one['bom-ref'])),
    dependencies: sbom.dependencies
      .filter(({ ref }) => !dropped.has(ref))
      .map(({ dependsOn, ...one }) =>
        dependsOn === undefined ? one : { ...one, dependsOn: dependsOn.filter((ref) => !dropped.has(ref)) },
      ),
  };
  writeFileSync(file, `${JSON.stringify(kept, null, 2)}\n`);
}

/** The name of a package in an SBOM. */
export function purlOf(name: string, version: string): string {
  return `pkg:npm/${name.replace(/^@/, '%40')}@${encodeURIComponent(version)}`;
}

/**
 * Writes the CycloneDX SBOM of what `npm ci --omit=dev` installs, and so of all that a deployment is built from and runs.
 * @throws when it is not valid against CycloneDX's schema, or when it lacks a package of the lock file.
 */
export async function writeSbom(folder: string, file: string): Promise<Sbom> {
  await mkdir(path.dirname(file), { recursive: true });
  await rm(file, { force: true });
  const cli = fileURLToPath(
    new URL('bin/cyclonedx-npm-cli.js', import.meta.resolve('@cyclonedx/cyclonedx-npm')),
  );
  const args = ['--omit', 'dev', '--output-format', 'JSON', '--output-file', file];
  // npm calls the tree invalid: a package of the API's documentation page wants an older TypeScript. What could really be
  // missing is found below.
  const options = ['--ignore-npm-errors', '--mc-type', 'application', '--output-reproducible', '--validate'];
  await promisify(execFile)(process.execPath, [cli, ...args, ...options], { cwd: folder });
  dropExtraneous(file);
  const { specVersion, components } = document.parse(JSON.parse(readFileSync(file, 'utf8')));
  const purls = new Set(flatten(components));
  const missing = readLockFile(folder)
    .filter(
      ({ deployed, optional, installed, name, version }) =>
        deployed && (installed || !optional) && !purls.has(purlOf(name, version)),
    )
    .map(({ name, version }) => `${name}@${version}`);
  if (missing.length > 0) {
    await rm(file, { force: true });
    throw new Error(`the SBOM lacks ${missing.join(', ')}: run npm ci`);
  }
  return { specVersion, purls };
}
