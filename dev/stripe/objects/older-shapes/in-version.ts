import { beforeBasil } from './before-basil.ts';
import { beforeClover } from './before-clover.ts';
import { beforeDahlia } from './before-dahlia.ts';
import { reshape } from './patch.ts';
import type { Look, Step } from './patch.ts';

/** The majors of Stripe's API whose shapes are known, by the name that ends a version: `2025-03-31.basil`. */
export type Major = 'acacia' | 'basil' | 'clover' | 'dahlia' | 'endive';

/** What is to be taken back, the newest first. Endive has changed the shape of nothing that is here, only parameters. */
const STEPS: Readonly<Record<Major, readonly Step[]>> = {
  endive: [],
  dahlia: [],
  clover: [beforeDahlia],
  basil: [beforeDahlia, beforeClover],
  acacia: [beforeDahlia, beforeClover, beforeBasil],
};

/** Objects, lists of them and whatever they hold, in the shape of a major. What came later without a move is kept, as Stripe does. */
export function inMajor(value: unknown, major: Major, look: Look): unknown {
  const steps = STEPS[major];
  return steps.length === 0 ? value : reshape(value, steps, look);
}
