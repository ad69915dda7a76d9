import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { runNpm } from './npm.ts';

/** A published vulnerability of a package that the lock file has. */
export interface Advisory {
  /** `GHSA-…`. */
  readonly id: string;
  readonly package: string;
  readonly severity: string;
  readonly title: string;
  readonly url: string;
  /** Where the package is, `node_modules/…`. */
  readonly places: readonly string[];
}

/** What the registry answered. `unchecked`: nothing is known, which is not the same as "nothing was found". */
export type Audit =
  | { readonly kind: 'checked'; readonly packages: number; readonly advisories: readonly Advisory[] }
  | { readonly kind: 'unchecked'; readonly reason: string };

/** How the registry is asked. */
export interface AuditOptions {
  readonly folder: string;
  /** For each of npm's two runs. */
  readonly timeoutMs: number;
  /** More of the environment, for example another registry. */
  readonly environment?: Readonly<Record<string, string>>;
}

const advisory = z.object({
  source: z.number(),
  name: z.string(),
  title: z.string(),
  url: z.string(),
  severity: z.string(),
});

const report = z.object({
  auditReportVersion: z.literal(2),
  vulnerabilities: z.record(
    z.string(),
    z.object({ via: z.array(z.union([z.string(), advisory])), nodes: z.array(z.string()) }),
  ),
  metadata: z.object({ dependencies: z.object({ total: z.number() }) }),
});

/** npm's own words for a failed audit. */
const failure = z.object({ message: z.string() });

/** A release with vulnerabilities that have been known since 2019. Whoever has advisories has these. */
const KNOWN_BAD = { name: 'lodash', version: '4.17.4' } as const;

/** One run of `npm audit`. */
async function ask(options: AuditOptions, folder: string): Promise<Audit> {
  const args = ['audit', '--json', '--package-lock-only', '--audit-level=none', '--no-offline'];
  const said = await runNpm(folder, args, options.timeoutMs, options.environment);
  if (said.stopped) return { kind: 'unchecked', reason: `no answer within ${options.timeoutMs / 1000} s` };
  let json: unknown;
  try {
    json = JSON.parse(said.stdout);
  } catch {
    return { kind: 'unchecked', reason: said.stderr.trim().split('\n')[0] ?? 'npm said nothing' };
  }
  const read = report.safeParse(json);
  if (!read.success) {
    const failed = failure.safeParse(json);
    return { kind: 'unchecked', reason: failed.data?.message ?? 'npm’s report has another format' };
  }
  const { vulnerabilities, metadata } = read.data;
  return {
    kind: 'checked',
    packages: metadata.dependencies.total,
    advisories: Object.values(vulnerabilities).flatMap(({ via, nodes }) =>
      // A name stands for a package that is vulnerable only because of another one, which has its own entry.
      via
        .filter((one) => typeof one !== 'string')
        .map(({ name, severity, title, url }) => ({
          id: /GHSA(-[a-z0-9]{4}){3}/.exec(url)?.[0] ?? url,
          package: name,
          severity,
          title,
          url,
          places: nodes,
        })),
    ),
  };
}

/** Asks for a release that is known to be bad, because a registry without advisories may answer "none" to everything. */
async function registryKnowsAdvisories(options: AuditOptions): Promise<Audit> {
  const folder = await mkdtemp(path.join(tmpdir(), 'comply-audit-'));
  try {
    const dependencies = { [KNOWN_BAD.name]: KNOWN_BAD.version };
    const project = { name: 'known-bad', version: '1.0.0', private: true, dependencies };
    await writeFile(path.join(folder, 'package.json'), JSON.stringify(project));
    const packages = {
      '': project,
      [`node_modules/${KNOWN_BAD.name}`]: { version: KNOWN_BAD.version },
    };
    const lock = { ...project, lockfileVersion: 3, requires: true, packages };
    await writeFile(path.join(folder, 'package-lock.json'), JSON.stringify(lock));
    return await ask(options, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Asks npm's registry for the advisories of all packages of a lock file. `unchecked` when it gives no answer, or when it does not
 * know a vulnerability that everybody knows.
 */
export async function readAdvisories(options: AuditOptions): Promise<Audit> {
  const known = await registryKnowsAdvisories(options);
  if (known.kind === 'unchecked') return known;
  if (!known.advisories.some((found) => found.package === KNOWN_BAD.name))
    return {
      kind: 'unchecked',
      reason: `the registry knows no advisory for ${KNOWN_BAD.name} ${KNOWN_BAD.version}, so it has none`,
    };
  return ask(options, options.folder);
}
