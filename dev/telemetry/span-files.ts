import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { keptSpan, type KeptPoint, type KeptSpan } from './otlp.ts';

/** Some minutes of a busy stack, and some MB. When they are twice as many, the older half goes. */
const SPANS_KEPT = 20_000;

const spansFile = (folder: string): string => path.join(folder, 'telemetry', 'spans.jsonl');
const metricsFile = (folder: string): string => path.join(folder, 'telemetry', 'metrics.json');

/** The spans and metrics of a stack, in files of its folder, so that they can be read after it has stopped. */
export class SpanFiles {
  readonly #folder: string;
  #lines: number;
  readonly #points = new Map<string, KeptPoint>();

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(path.join(folder, 'telemetry'), { recursive: true });
    this.#lines = readSpans(folder).length;
  }

  addSpans(spans: readonly KeptSpan[]): void {
    appendFileSync(spansFile(this.#folder), spans.map((one) => `${JSON.stringify(one)}\n`).join(''));
    this.#lines += spans.length;
    if (this.#lines < 2 * SPANS_KEPT) return;
    const kept = readSpans(this.#folder).slice(-SPANS_KEPT);
    const file = spansFile(this.#folder);
    writeFileSync(`${file}.new`, kept.map((one) => `${JSON.stringify(one)}\n`).join(''));
    renameSync(`${file}.new`, file);
    this.#lines = kept.length;
  }

  /** Keeps the last value of each series. */
  setMetrics(points: readonly KeptPoint[]): void {
    for (const one of points) this.#points.set(JSON.stringify([one.name, one.attributes]), one);
    writeFileSync(metricsFile(this.#folder), `${JSON.stringify([...this.#points.values()], null, 2)}\n`);
  }
}

/** The spans of a stack's folder, oldest first. A line that a killed stack has not written to its end is skipped. */
export function readSpans(folder: string): KeptSpan[] {
  const file = spansFile(folder);
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [keptSpan.parse(JSON.parse(line))];
      } catch {
        return [];
      }
    });
}
