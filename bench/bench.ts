import type { Figure } from './figures.ts';

/** How long to measure, and with how many rows. */
export interface Sizes {
  /** Pairs of baseline and candidate. */
  readonly rounds: number;
  readonly secondsEach: number;
  /** Rows in benchmarks that fill tables. The targets are for the default number. */
  readonly rows: number;
  /** Minutes of the soak. */
  readonly soakMinutes: number;
  /** The folder for CPU profiles of the host; undefined for none. */
  readonly profileFolder: string | undefined;
}

/** A benchmark. It starts everything that it needs, and stops it at the end. */
export interface Bench {
  readonly name: string;
  readonly what: string;
  /** False for a benchmark that runs only when it is named. */
  readonly byDefault: boolean;
  run(sizes: Sizes, say: (line: string) => void): Promise<readonly Figure[]>;
}
