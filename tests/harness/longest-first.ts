import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The longest files, and those that mostly wait. Vitest knows no durations in a fresh clone, and a long file that begins last leaves the
 * other workers without work.
 */
export const LONGEST = [
  'tests/billing-laws-checkout.test.ts',
  'tests/billing-laws-subscription.test.ts',
  'tests/telemetry/collector-away.test.ts',
  'tests/local-stack.test.ts',
  'tests/doctor.test.ts',
  'tests/restore-drill/restore.test.ts',
  'dev/processes/guard.test.ts',
];

/** Begins with the longest files, within each group of projects. The others keep Vitest's order. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const usual = await super.sort(files);
    const groupOf = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
    const placeOf = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.indexOf(path.relative(this.ctx.config.root, moduleId));
      return place === -1 ? LONGEST.length : place;
    };
    return usual.toSorted((a, b) => groupOf(a) - groupOf(b) || placeOf(a) - placeOf(b));
  }
}
