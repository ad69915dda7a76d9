import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { RETENTION_CLASSES } from '../../shared/domains/retention/tiers.ts';
import { compiled, ofType, sourceFiles, sourceOf } from './compiled.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const page = read('docs/deployment.md');
const made = await compiled();

/** The cells of the rows of a table, by the header of its first column. */
function rowsOf(firstHeader: string): string[][] {
  const lines = page.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${firstHeader}`));
  expect(start, `a table that begins with ${firstHeader}`).toBeGreaterThan(0);
  const rows: string[][] = [];
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith('|')) break;
    rows.push(
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

/** The amount at the beginning of a cell. */
function amount(cell: string | undefined): number {
  const found = /^\**([\d,]+)/.exec(cell ?? '');
  return found === null ? 0 : Number((found[1] ?? '').replaceAll(',', ''));
}

describe('docs/deployment.md', () => {
  it('names only scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...page.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name ?? '');
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it('names only files of bicep/, docs/, tests/ and tools/ that exist', () => {
    const named = [...page.matchAll(/`((?:bicep|tests|tools)\/[\w/.-]+\.\w+)`/g)].map(
      ([, file]) => file ?? '',
    );
    expect(named.length).toBeGreaterThan(4);
    for (const file of named) expect(() => read(file), file).not.toThrow();
  });

  it('has a price for each module', () => {
    const parts = rowsOf('part (module)').map(([part]) => part ?? '');
    const priced = parts.flatMap((part) => [...part.matchAll(/`([\w-]+)`/g)].map(([, name]) => name ?? ''));
    const modules = sourceFiles()
      .filter((file) => file.startsWith('modules/'))
      .map((file) => path.basename(file, '.bicep'));
    // They cost nothing by themselves: identities, and the private endpoints that the network's row counts.
    const free = ['identities', 'private-endpoint', 'alerts'];
    expect([...new Set(priced)].sort()).toEqual(modules.filter((name) => !free.includes(name)).sort());
  });

  it.each([
    ['dev', 1],
    ['stage', 2],
    ['prod', 3],
  ])('the prices of %s add up to the sum, to within 2 %%', (_environment, column) => {
    const rows = rowsOf('part (module)');
    const sum = rows.slice(0, -1).reduce((total, row) => total + amount(row[column]), 0);
    const said = amount(rows.at(-1)?.[column]);
    expect(said).toBeGreaterThan(1_000);
    expect(Math.abs(sum - said) / said).toBeLessThan(0.02);
  });

  it.each([
    ['dev', 1],
    ['stage', 2],
    ['prod', 3],
  ])('the budget of %s is more than its price', (environment, column) => {
    const budget = Number(/'MONTHLY_BUDGET', '(\d+)'/.exec(sourceOf(`${environment}.bicepparam`))?.[1]);
    expect(budget).toBeGreaterThan(amount(rowsOf('part (module)').at(-1)?.[column]));
  });

  it('the sizes of the price table are those of the parameter files', () => {
    const cells = rowsOf('part (module)');
    const rowOf = (module: string): string[] => cells.find(([part]) => part?.includes(`\`${module}\``)) ?? [];
    for (const [environment, column] of [
      ['dev', 1],
      ['stage', 2],
      ['prod', 3],
    ] as const) {
      const source = sourceOf(`${environment}.bicepparam`);
      const size = /postgresSkuName = 'Standard_(\w+)'/.exec(source)?.[1];
      const disk = /postgresStorageGb = (\d+)/.exec(source)?.[1];
      expect(rowOf('postgres')[column]).toContain(`${size ?? '?'}, ${disk ?? '?'} GB`);
      expect(rowOf('redis')[column]).toContain(/redisSkuName = '(\w+)'/.exec(source)?.[1]);
    }
  });

  it('the commands that lock evidence name every container that has a policy, and only those', () => {
    const containers = /for CONTAINER in ([\w -]+); do\n.*\n.*immutability-policy lock/
      .exec(page)?.[1]
      ?.split(' ');
    const source = sourceOf('modules/storage.bicep');
    const immutable = [...source.matchAll(/name: '([\w-]+)', retentionClass: '\w+', immutable: true/g)].map(
      ([, name]) => name,
    );
    expect(immutable).toHaveLength(
      RETENTION_CLASSES.filter((name) => /mapping_results|audit_logs/.test(name)).length,
    );
    expect(containers).toEqual(immutable);
  });
});

describe.runIf(made !== undefined)('docs/deployment.md and the prediction', () => {
  it('no template has a container registry, as the page says', () => {
    for (const { resources } of made?.predictions ?? []) {
      expect(resources.map((one) => one.type)).not.toContain('Microsoft.ContainerRegistry/registries');
    }
  });

  it('the price of private endpoints counts them all', () => {
    const said = Number(/private endpoints, about (\d+)/.exec(page)?.[1]);
    for (const prediction of made?.predictions ?? []) {
      expect(ofType(prediction, 'Microsoft.Network/privateEndpoints')).toHaveLength(said);
    }
  });
});
