import type { Context } from './context.ts';

/** Something that happens by itself at a time: a renewal, a retry, an expiry. It is found in the state each time, and kept nowhere. */
export interface Due {
  /** Names it for as long as it waits. */
  readonly key: string;
  /** Seconds since 1970, in the time of its customer. */
  readonly at: number;
  run(context: Context): void;
}
