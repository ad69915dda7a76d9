/**
 * The second part of `npm run lint`, after ESLint: checks the layers. dependency-cruiser reads the imports and applies
 * layer-rules.ts. It finds only cycles between folders without subfolders, so folder-cycles.ts searches its graph for all.
 */
import { cruise, format, type ICruiseResult } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';
import { findFolderCycles, type FolderCycle, type Import } from './folder-cycles.ts';
import { CRUISE_OPTIONS } from './layer-rules.ts';

const ROOTS = ['functions', 'shared', 'tools', 'dev', 'tests', 'bench'];
const IS_TEST = /\.test\.ts$/;

/** Imports between our own files, without tests: a test belongs to no layer, because the test harness uses all of them. */
function listImports({ modules }: ICruiseResult): Import[] {
  return modules
    .filter(({ source }) => !IS_TEST.test(source))
    .flatMap(({ source, dependencies }) =>
      dependencies
        .filter(({ resolved }) => ROOTS.some((root) => resolved.startsWith(`${root}/`)))
        .map(({ resolved }) => ({ from: source, to: resolved })),
    );
}

function describeCycle({ folder, imports }: FolderCycle): string {
  const lines = imports.map(({ from, to }) => `      ${from} → ${to}`);
  return [`  error no-folder-cycle: in ${folder === '' ? 'the repository' : folder}`, ...lines].join('\n');
}

async function main(): Promise<void> {
  const tsConfig = extractTSConfig('tsconfig.json');
  const { output } = await cruise(ROOTS, CRUISE_OPTIONS, {}, { tsConfig });
  if (typeof output === 'string') throw new Error('dependency-cruiser returned text instead of its graph');
  const report = await format(output, { outputType: 'err' });
  if (typeof report.output === 'string') process.stdout.write(report.output);
  const cycles = findFolderCycles(listImports(output));
  for (const cycle of cycles) process.stdout.write(`${describeCycle(cycle)}\n`);
  process.exitCode = report.exitCode > 0 || cycles.length > 0 ? 1 : 0;
}

await main();
