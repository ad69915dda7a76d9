import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { z } from 'zod';
import { isReached, median, spread, type Figure, type Side } from './figures.ts';

/** Three digits are enough, because rounds differ by some hundredths. */
function rounded(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toPrecision(3);
}

function describeSide({ values, unit }: Side): string {
  return `${rounded(median(values))} ${unit}`.trim();
}

function describeTarget(figure: Figure): string {
  if (figure.target === undefined) return '';
  const { bound, value } = figure.target;
  return `${bound === 'at least' ? '≥' : '≤'} ${value}`;
}

function sign(figure: Figure): string {
  const reached = isReached(figure);
  return reached === undefined ? '' : reached ? 'reached' : 'MISSED';
}

/** The figures as a table, with their notes below. */
export function describeFigures(figures: readonly Figure[]): string {
  const head = ['figure', 'ratio', 'spread', 'target', '', 'measured', 'baseline'];
  const rows = figures.map((figure) => {
    const [low, high] = spread(figure.ratios);
    return [
      figure.name,
      rounded(median(figure.ratios)),
      `${rounded(low)}–${rounded(high)} of ${figure.ratios.length}`,
      describeTarget(figure),
      sign(figure),
      describeSide(figure.candidate),
      `${describeSide(figure.baseline)} (${figure.baseline.name})`,
    ];
  });
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const notes = figures.flatMap(({ name, notes: lines }) => lines.map((text) => `  ${name}: ${text}`));
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line), '', ...notes].join(
    '\n',
  );
}

const earlierResults = z.object({ figures: z.array(z.looseObject({ bench: z.string() })) });

/** Earlier figures of benchmarks that did not run this time. */
function otherFigures(file: string | URL, figures: readonly Figure[]): readonly object[] {
  if (!existsSync(file)) return [];
  const earlier = earlierResults.parse(JSON.parse(readFileSync(file, 'utf8')));
  return earlier.figures.filter((one) => !figures.some(({ bench }) => bench === one.bench));
}

/** Writes the figures and the machine. They replace earlier figures of the same benchmarks. */
export function writeResults(file: string | URL, figures: readonly Figure[]): void {
  const [cpu] = cpus();
  const others = otherFigures(file, figures);
  const results = {
    machine: {
      cpus: cpus().length,
      cpu: cpu?.model ?? '',
      platform: process.platform,
      node: process.version,
    },
    figures: [
      ...others,
      ...figures.map((figure) => ({
        ...figure,
        ratio: median(figure.ratios),
        reached: isReached(figure),
      })),
    ],
  };
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
}
