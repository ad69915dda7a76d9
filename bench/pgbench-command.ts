import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const APT = '/usr/bin/apt-get';
const INSTALL_TIMEOUT_MS = 5 * 60_000;
/** Debian's folder for the programs of each major version. pgbench is not on the PATH there. */
const DEBIAN_VERSIONS = '/usr/lib/postgresql';

// Only the program is needed: the server in the package must make no cluster and start no service.
const INSTALL = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
export DEBIAN_FRONTEND=noninteractive
${APT} -qq update || true
${APT} -qq install --yes --no-install-recommends postgresql-contrib
`;

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function lookForPgbench(): string | undefined {
  const onPath = (process.env['PATH'] ?? '')
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder));
  const ofDebian = existsSync(DEBIAN_VERSIONS)
    ? readdirSync(DEBIAN_VERSIONS).map((version) => path.join(DEBIAN_VERSIONS, version, 'bin'))
    : [];
  return [...onPath, ...ofDebian.toSorted().reverse()]
    .map((folder) => path.join(folder, 'pgbench'))
    .find(isExecutable);
}

/** What to put before a command to run it as root: nothing, sudo without a password, or undefined when neither works. */
function findRootPrefix(): string[] | undefined {
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}

/**
 * The path of pgbench: the one on the PATH, or else Debian's, which is installed if necessary.
 * @throws Error that tells what to do when there is none.
 */
export function findPgbench(): string {
  const found = lookForPgbench();
  if (found !== undefined) return found;
  const prefix = existsSync(APT) ? findRootPrefix() : undefined;
  if (prefix === undefined) {
    throw new Error(
      'The write bench needs pgbench: install it (Debian: postgresql-contrib) and put it on the PATH.',
    );
  }
  process.stderr.write('installing postgresql-contrib for its pgbench …\n');
  const [command, ...args]: string[] = [...prefix, 'sh', '-c', INSTALL];
  const result = spawnSync(command ?? 'sh', args, { encoding: 'utf8', timeout: INSTALL_TIMEOUT_MS });
  const installed = lookForPgbench();
  if (installed !== undefined) return installed;
  throw new Error(
    `The write bench needs pgbench, which could not be installed:\n${result.stdout}${result.stderr}`,
  );
}
