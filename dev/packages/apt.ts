import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const APT = '/usr/bin/apt-get';
const INSTALL_TIMEOUT_MS = 5 * 60_000;

// Debian starts a service when it installs it, unless policy-rc.d forbids it. So policy-rc.d is added during the installation
// if there is none. A failed update is ignored, because an outdated package list may be enough. A package that cannot be
// installed does not keep the others from it.
const INSTALL = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
${APT} -qq update || true
failed=0
for package in "$@"; do
  ${APT} -qq install --yes --no-install-recommends "$package" || failed=1
done
exit "$failed"
`;

/** What to put before a command to run it as root: nothing, sudo without a password, or undefined when neither works. */
export function findRootPrefix(): readonly string[] | undefined {
  if (!existsSync(APT)) {
    return undefined;
  }
  if (process.getuid?.() === 0) {
    return [];
  }
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}

/** Installs packages of Debian, and starts no service. Returns what went wrong, if anything did. */
export function installPackages(prefix: readonly string[], packages: readonly string[]): string | undefined {
  const [command = 'sh', ...args] = [...prefix, 'sh', '-c', INSTALL, 'sh', ...packages];
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: INSTALL_TIMEOUT_MS });
  return result.status === 0 ? undefined : `${result.stdout}${result.stderr}`.trim() || String(result.error);
}
