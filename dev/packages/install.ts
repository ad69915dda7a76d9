import { findRootPrefix, installPackages } from './apt.ts';
import { ensureNeeds } from './ensure.ts';
import { NEEDS } from './needs.ts';

// Makes sure that the machine has the programs that the tests need: `node dev/packages/install.ts redis-server chromium`. What
// is not there, it installs from Debian (or a similar system), if it has the rights. It starts no system service.

function install(packages: readonly string[]): string | undefined {
  const prefix = findRootPrefix();
  if (prefix === undefined) return undefined;
  process.stderr.write(`installing ${packages.join(' and ')} for the tests …\n`);
  return installPackages(prefix, packages);
}

const names = process.argv.slice(2);
const known = NEEDS.map((need) => need.package);
if (names.length === 0 || names.some((name) => !known.includes(name))) {
  process.stderr.write(`Say which of them: ${known.join(', ')}\n`);
  process.exitCode = 2;
} else {
  const needs = NEEDS.filter((need) => names.includes(need.package));
  const { said, isEnough } = ensureNeeds(needs, install);
  for (const line of said) process.stderr.write(`${line}\n`);
  if (!isEnough) process.exitCode = 1;
}
