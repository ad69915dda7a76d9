import { settingsSchema } from '../../../shared/platform/config/settings.ts';
import { orOk, warning, type Check } from '../check.ts';

/** How many characters may differ. Names of different settings differ by more. */
const DISTANCE = 2;

/** How many characters must be added, removed or replaced (Levenshtein). */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, n) => n);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}

/** Names that are almost a setting's: an optional one that is misspelt is not missed by anything else. */
export const misspeltSettings: Check = {
  name: 'misspelt-settings',
  group: 'settings',
  looksAt: 'names that are almost the name of a setting',
  run({ given }) {
    const known = Object.keys(settingsSchema.shape);
    const findings = Object.keys(given.raw)
      .filter((name) => !known.includes(name))
      .flatMap((name) => {
        const meant = known.find((right) => distance(name.toUpperCase(), right.toUpperCase()) <= DISTANCE);
        return meant === undefined
          ? []
          : [warning(`${name} is not read by anything`, `rename it to ${meant}, or remove it`)];
      });
    return Promise.resolve(orOk(findings, 'none'));
  },
};
