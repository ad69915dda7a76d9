/** The minimum retention of evidence under a framework, in days. */
export interface FrameworkMinimum {
  readonly framework: string;
  readonly days: number;
}

/**
 * Families of frameworks, each matched by a part of its names. Names differ by year, version and attestation type (“HIPAA 2013”,
 * “SOC 2 Type II”, “ISO/IEC 27001:2022”), so they are compared in capitals and without accents and punctuation. A name of no
 * family has no minimum.
 */
const FAMILIES: readonly { readonly names: RegExp; readonly days: number }[] = [
  // 45 CFR 164.316(b)(2)(i): six years from the day it was made or was last in effect.
  { names: /HIPAA|HIPPA|HITECH|HEALTHINSURANCEPORTABILITY|45CFR16[04]/, days: 2190 },
  // The criteria have no figure. A Type 2 report (of SOC 1 or SOC 2) covers a period of up to twelve months.
  { names: /(?:SOC|ORGANI[SZ]ATIONCONTROLS?)(?:TYPE)?(?:2|II(?!I))/, days: 365 },
  // The standard has no figure. Surveillance audits after a certification are yearly (ISO/IEC 17021-1, 9.6.2).
  { names: /2700[01]|27K/, days: 365 },
  // PCI DSS v4.0.1, requirement 10.5.1: audit log history of at least twelve months.
  { names: /PCI|PAYMENTCARDINDUSTRY/, days: 365 },
];

/** The longest minimum of all frameworks. It counts when a tenant's frameworks are unknown. */
export const LONGEST_MINIMUM_DAYS = Math.max(...FAMILIES.map(({ days }) => days));

/** Removes accents and Unicode's variants of a letter: wide, raised, encircled. */
function folded(name: string): string {
  return name.normalize('NFKD').replace(/\p{M}/gu, '');
}

/**
 * Whether a name has only Latin letters and digits. Letters of other alphabets can look the same: a name with them would look
 * like a framework but would not have its minimum.
 */
export function isPlainName(name: string): boolean {
  return !/[^\p{ASCII}\p{P}\p{Z}\p{Cf}®©]/u.test(folded(name));
}

function daysOf(framework: string): number {
  const name = folded(framework)
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '');
  return Math.max(0, ...FAMILIES.flatMap(({ names, days }) => (names.test(name) ? [days] : [])));
}

function findMinimum(frameworks: readonly string[]): FrameworkMinimum | undefined {
  const [longest] = frameworks
    .map((framework) => ({ framework, days: daysOf(framework) }))
    .sort((left, right) => right.days - left.days);
  return longest === undefined || longest.days === 0 ? undefined : longest;
}

/** Each write needs its tenant's minimum several times. The tenant's list is the same object while it is cached. */
const found = new WeakMap<readonly string[], FrameworkMinimum | undefined>();

/** The longest minimum of these frameworks, and its framework; undefined if none has a minimum. */
export function minimumOf(frameworks: readonly string[]): FrameworkMinimum | undefined {
  if (!found.has(frameworks)) found.set(frameworks, findMinimum(frameworks));
  return found.get(frameworks);
}
