import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findRedisServer } from './find-redis.ts';

// Makes sure that there is a Redis for the tests. If none is on the PATH, it installs the one of Debian (or a similar system),
// if it has the rights. It starts no system service.

const APT = '/usr/bin/apt-get';
const INSTALL_TIMEOUT_MS = 5 * 60_000;

// Debian starts a service when it installs it, unless policy-rc.d forbids it. So policy-rc.d is added during the installation
// if there is none. A failed update is ignored, because an outdated package list may be enough.
const INSTALL = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
${APT} -qq update || true
${APT} -qq install --yes --no-install-recommends redis-server
`;

/** What to put before a command to run it as root: nothing, sudo without a password, or undefined when neither works. */
function findRootPrefix(): string[] | undefined {
  if (process.getuid?.() === 0) {
    return [];
  }
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}

/** Installs a Redis; returns what went wrong, if anything did. */
function install(): string | undefined {
  const prefix = existsSync(APT) ? findRootPrefix() : undefined;
  if (prefix === undefined) {
    return 'install redis-server or valkey-server and put it on the PATH, or set REDIS_URL';
  }
  process.stderr.write('installing redis-server for the tests …\n');
  const [command, ...args] = [...prefix, 'sh', '-c', INSTALL];
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: INSTALL_TIMEOUT_MS });
  return result.status === 0 ? undefined : `${result.stdout}${result.stderr}`.trim() || String(result.error);
}

if (!process.env['REDIS_URL'] && findRedisServer() === undefined) {
  const problem = install();
  if (problem !== undefined || findRedisServer() === undefined) {
    process.stderr.write(`The tests need a Redis: ${problem ?? 'redis-server is not on the PATH'}\n`);
    process.exitCode = 1;
  }
}
