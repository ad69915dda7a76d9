import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { buildDeployment } from '../../tools/build/build-app.ts';
import { readLockFile } from './lock-file.ts';
import { purlOf, writeSbom } from './sbom.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'comply-sbom-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The packages of which a build has code, by its source maps. */
async function listBundled(): Promise<string[]> {
  await buildDeployment(folder, 'functions/main.ts');
  const names = globSync('dist/**/*.map', { cwd: folder }).flatMap((file) => {
    const { sources } = z
      .object({ sources: z.array(z.string()) })
      .parse(JSON.parse(readFileSync(path.join(folder, file), 'utf8')));
    return sources.map((source) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1] ?? '');
  });
  return [...new Set(names)].filter((name) => name !== '').sort();
}

test('the SBOM is valid, and has every package that a deployment installs or that its bundle contains', async () => {
  const file = path.join(folder, 'sbom.cdx.json');
  const { specVersion, purls } = await writeSbom(ROOT, file);
  expect(specVersion).toBe('1.6');
  const deployed = readLockFile(ROOT).filter((one) => one.deployed && one.installed);
  expect(purls).toEqual(new Set(deployed.map(({ name, version }) => purlOf(name, version))));
  const bundled = await listBundled();
  expect(bundled).toContain('postgres');
  const names = new Set(deployed.map(({ name }) => name));
  expect(bundled.filter((name) => !names.has(name))).toEqual([]);
});

test('a tree that lacks packages gives no SBOM', async () => {
  const project = mkdtempSync(path.join(folder, 'project-'));
  for (const name of ['package.json', 'package-lock.json', 'node_modules/zod/package.json'])
    cpSync(path.join(ROOT, name), path.join(project, name));
  const file = path.join(project, 'sbom.cdx.json');
  await expect(writeSbom(project, file)).rejects.toThrow(/^the SBOM lacks .*postgres@/);
  expect(existsSync(file)).toBe(false);
});
