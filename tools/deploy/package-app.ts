import { cp, glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { buildDeployment } from '../build/build-app.ts';

const ROOT = path.join(import.meta.dirname, '../..');
/** What azure.yaml deploys. */
const PACKAGE_FOLDER = path.join(ROOT, '.local/package');

/** The system of Flex Consumption's machines, as npm's binary packages name it. */
const TARGET = 'linux-x64-gnu';

const manifest = z.object({
  name: z.string(),
  version: z.string(),
  type: z.literal('module'),
  main: z.string(),
});

/**
 * Builds the app and lays out the deployed package: the bundle, host.json and a package.json with nothing to install or to
 * build. So it makes no difference whether Azure builds what it gets.
 */
export async function packageApp(folder = PACKAGE_FOLDER): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await buildDeployment(folder, 'functions/main.ts');
  for await (const map of glob('dist/**/*.map', { cwd: folder })) await rm(path.join(folder, map));
  await requireBinary(folder);
  await cp(path.join(ROOT, 'host.json'), path.join(folder, 'host.json'));
  const { name, version, type, main } = manifest.parse(
    JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')),
  );
  const text = JSON.stringify({ name, version, private: true, type, main }, null, 2);
  await writeFile(path.join(folder, 'package.json'), `${text}\n`);
}

/** @throws Error if the package was built where npm did not install the binary for Azure's machines. */
async function requireBinary(folder: string): Promise<void> {
  const found = glob(`dist/**/argon2.${TARGET}-*.node`, { cwd: folder });
  if ((await found.next()).done === true)
    throw new Error(
      `the package lacks the binary of Azure's system: npm install --no-save --force @node-rs/argon2-${TARGET}`,
    );
}
