import { readFile } from 'node:fs/promises';
import { readAdvisories, type Advisory, type AuditOptions } from './advisories.ts';
import { allowedAdvisories, expired, judge } from './allowed-advisories.ts';

/** How the check ends. */
export const EXIT = {
  clean: 0,
  /** A vulnerability of high or critical severity, or an entry of the list of accepted ones that does not hold. */
  refused: 1,
  /** The registry gave no answer: nothing is known. */
  unchecked: 3,
} as const;

/** What the check says, and how it ends. */
export interface AuditResult {
  readonly exitCode: number;
  readonly lines: readonly string[];
}

const describeAdvisory = (word: string, one: Advisory): string =>
  `${word} ${one.severity}: ${one.package}: ${one.title}\n  ${one.url}\n  ${one.places.join('\n  ')}`;

/**
 * Checks all packages of the lock file, also those of development, because they run on the machine that builds. `allowedFile` has
 * the accepted advisories.
 */
export async function auditDependencies(
  options: AuditOptions & { readonly allowedFile: string; readonly now: Date },
): Promise<AuditResult> {
  const parsed = allowedAdvisories.safeParse(JSON.parse(await readFile(options.allowedFile, 'utf8')));
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `  ${path.join('.')}: ${message}`);
    return { exitCode: EXIT.refused, lines: [`${options.allowedFile} is not valid:`, ...faults] };
  }
  const today = options.now.toISOString().slice(0, 10);
  const audit = await readAdvisories(options);
  if (audit.kind === 'unchecked') {
    const over = expired(parsed.data, today);
    return {
      exitCode: over.length > 0 ? EXIT.refused : EXIT.unchecked,
      lines: [
        ...over,
        `NOT CHECKED: ${audit.reason}.`,
        'This says nothing about the packages. Run it again where the registry answers audits.',
      ],
    };
  }
  const { refused, accepted, minor, faults } = judge(audit.advisories, parsed.data, today);
  return {
    exitCode: refused.length > 0 || faults.length > 0 ? EXIT.refused : EXIT.clean,
    lines: [
      ...minor.map((one) => describeAdvisory('below the limit,', one)),
      ...accepted.map((one) => describeAdvisory('accepted,', one)),
      ...refused.map((one) => describeAdvisory('VULNERABLE,', one)),
      ...faults,
      `${audit.packages} packages: ${refused.length} refused, ${accepted.length} accepted, ${minor.length} below the limit.`,
    ],
  };
}
