import satisfies from 'spdx-satisfies';
import type { LockedPackage } from './lock-file.ts';

/** Licences of packages that are deployed. All of them let us use and pass on the code, under a notice at most. */
const DEPLOYED = [
  'MIT',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  '0BSD',
  'BlueOak-1.0.0',
  'Unlicense',
  'CC0-1.0',
];

/** Licences of packages that only build and test, and are given to nobody: also those with duties for who changes them. */
const DEVELOPMENT = [...DEPLOYED, 'MPL-2.0', 'Python-2.0', 'CC-BY-3.0', 'CC-BY-4.0'];

/** Packages without a readable licence, by their exact version, so that the next one is decided again. */
const DECIDED: Readonly<Record<string, string>> = {
  'neverpanic@0.0.5':
    'names no licence. @scalar/api-reference needs it to install; of that, only Scalar’s own script (MIT) is deployed',
  '@supabase/stripe-sync-engine@0.48.5':
    'names no licence; its README shows one for its repository. Only a benchmark uses it, and nobody gets it',
  'uri-templates@0.2.0': 'in the public domain, says its README. Only the tests use it',
};

/** Whether the expression allows a choice that is in the list. False for what is no SPDX expression. */
function isIn(list: readonly string[], expression: string): boolean {
  try {
    return satisfies(expression, [...list]);
  } catch {
    return false;
  }
}

/** What is wrong with the licences of these packages. */
export function findLicenceFaults(packages: readonly LockedPackage[]): string[] {
  const present = new Set(packages.map(({ name, version }) => `${name}@${version}`));
  const unneeded = Object.keys(DECIDED).filter((named) => !present.has(named));
  const refused = packages.filter(({ name, version, license, deployed }) => {
    if (Object.hasOwn(DECIDED, `${name}@${version}`)) return false;
    return license === undefined || !isIn(deployed ? DEPLOYED : DEVELOPMENT, license);
  });
  return [
    ...refused.map(
      ({ name, version, license, deployed }) =>
        `${name}@${version} (${deployed ? 'deployed' : 'development'}): ${license ?? 'names no licence'}`,
    ),
    ...unneeded.map((named) => `${named} was decided, and is not there any more: remove the entry`),
  ];
}
