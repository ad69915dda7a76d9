import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const lockFile = z.object({
  lockfileVersion: z.literal(3),
  packages: z.record(
    z.string(),
    z.object({
      name: z.string().optional(),
      version: z.string().optional(),
      license: z.unknown().optional(),
      dev: z.boolean().optional(),
      devOptional: z.boolean().optional(),
      optional: z.boolean().optional(),
      link: z.boolean().optional(),
    }),
  ),
});

/** A package of the lock file. */
export interface LockedPackage {
  /** `node_modules/…`, from the project's folder. */
  readonly place: string;
  readonly name: string;
  readonly version: string;
  /** As its author wrote it; undefined if the author wrote nothing. */
  readonly license: string | undefined;
  /** Whether `npm ci --omit=dev` installs it. */
  readonly deployed: boolean;
  /** Whether an installation may lack it: the other systems' variants of a package. */
  readonly optional: boolean;
  readonly installed: boolean;
}

const NODE_MODULES = 'node_modules/';

/** A package.json from before 2015 may have an object, or a list of them. */
function licenseText(license: unknown): string | undefined {
  if (typeof license === 'string') return license;
  const old = z.object({ type: z.string() }).safeParse(license);
  return old.success ? old.data.type : undefined;
}

/** The packages of a project's lock file. */
export function readLockFile(folder: string): LockedPackage[] {
  const text = readFileSync(path.join(folder, 'package-lock.json'), 'utf8');
  const { packages } = lockFile.parse(JSON.parse(text));
  return Object.entries(packages)
    .filter(([place, { link }]) => place !== '' && link !== true)
    .map(([place, given]) => ({
      place,
      name: given.name ?? place.slice(place.lastIndexOf(NODE_MODULES) + NODE_MODULES.length),
      version: given.version ?? '',
      license: licenseText(given.license),
      deployed: given.dev !== true,
      optional: given.optional === true || given.devOptional === true,
      installed: existsSync(path.join(folder, place, 'package.json')),
    }));
}
