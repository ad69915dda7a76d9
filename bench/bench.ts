import type { Figure } from './figures.ts';

/** How long and how large to measure. */
export interface Sizes {
  /** Pairs of baseline and candidate. */
  readonly rounds: number;
  readonly secondsEach: number;
  /** Rows of the benches that fill tables; those that the targets name unless made smaller for a try. */
  readonly rows: number;
  /** Minutes of the soak. */
  readonly soakMinutes: number;
  /** Where CPU profiles of the host go; none are made unless said. */
  readonly profileFolder: string | undefined;
}

/** One bench: it starts what it needs, and leaves nothing behind. */
export interface Bench {
  readonly name: string;
  readonly what: string;
  /** False for one that runs only where it is asked for by name. */
  readonly byDefault: boolean;
  run(sizes: Sizes, say: (line: string) => void): Promise<readonly Figure[]>;
}
