import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';
import { median } from './figures.ts';

const side = z.object({ name: z.string(), unit: z.string(), values: z.array(z.number()) });

/** The content of bench/results.json. */
export const resultsSchema = z.object({
  machine: z.object({ cpus: z.int(), cpu: z.string(), platform: z.string(), node: z.string() }),
  figures: z.array(
    z.object({
      bench: z.string(),
      name: z.string(),
      candidate: side,
      baseline: side,
      ratio: z.number(),
      ratios: z.array(z.number()),
      reached: z.boolean().optional(),
      target: z.object({ bound: z.enum(['at least', 'at most']), value: z.number() }).optional(),
      notes: z.array(z.string()),
    }),
  ),
});
type Results = z.output<typeof resultsSchema>;
type QuotedFigure = Results['figures'][number];

const BEGIN = '<!-- figures of bench/results.json: begin -->';
const END = '<!-- figures: end -->';

function rounded(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(2);
}

function describeSide({ name, unit, values }: QuotedFigure['candidate']): string {
  return `${rounded(median(values))} ${unit}`.trim() + ` (${name})`;
}

function describeTarget({ target, reached }: QuotedFigure): string {
  if (target === undefined) return '';
  return `${target.bound} ${target.value}${reached === true ? '' : ': **missed**'}`;
}

/** The rows of the table, with its head: figure, ratio with its spread, target, both sides. */
export function figureRows({ figures }: Results, withTarget: boolean): string[][] {
  const rows = figures
    .filter(({ target }) => !withTarget || target !== undefined)
    .map((figure) => {
      const spread = `${rounded(Math.min(...figure.ratios))}–${rounded(Math.max(...figure.ratios))}`;
      return [
        figure.name,
        `**${rounded(figure.ratio)}** (${spread})`,
        describeTarget(figure),
        describeSide(figure.candidate),
        describeSide(figure.baseline),
      ];
    });
  return [['figure', 'ratio', 'target', 'measured', 'baseline'], ...rows];
}

/** The rows of the table between a document's markers. */
export function quotedRows(document: string): string[][] {
  const [, block = ''] = new RegExp(`${BEGIN}([^]*?)${END}`).exec(document) ?? [];
  return block
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^[|\s:-]+$/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/**
 * Replaces the table between a document's markers: with the figures that have a target, or with all of them.
 * @throws Error when there are no markers.
 */
export async function quoteFigures(file: URL, results: unknown, withTarget: boolean): Promise<void> {
  const text = readFileSync(file, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${file.pathname} has no markers for figures`);
  const [head = [], ...rows] = figureRows(resultsSchema.parse(results), withTarget);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const table = [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
  const changed = `${text.slice(0, begin)}${BEGIN}\n\n${table}\n\n${text.slice(end)}`;
  const config = await resolveConfig(file);
  writeFileSync(file, await format(changed, { ...config, parser: 'markdown' }));
}
