/** The least that evidence is kept under a framework, in days. */
export interface FrameworkMinimum {
  readonly framework: string;
  readonly days: number;
}

/**
 * Families of frameworks, each by what a name of it contains once it is in capitals and without accents and punctuation: years,
 * versions and attestation types come and go (“HIPAA 2013”, “SOC 2 Type II”, “ISO/IEC 27001:2022”). A name of no family sets no
 * minimum.
 */
const FAMILIES: readonly { readonly names: RegExp; readonly days: number }[] = [
  // 45 CFR 164.316(b)(2)(i): six years from the day it was made or was last in effect.
  { names: /HIPAA|HIPPA|HITECH|HEALTHINSURANCEPORTABILITY|45CFR16[04]/, days: 2190 },
  // No figure in the criteria; a Type 2 report, of which SOC 1 has its own, looks back over a period of up to twelve months.
  { names: /(?:SOC|ORGANI[SZ]ATIONCONTROLS?)(?:TYPE)?(?:2|II(?!I))/, days: 365 },
  // No figure in the standard; certification is followed up by yearly surveillance audits (ISO/IEC 17021-1, 9.6.2).
  { names: /2700[01]|27K/, days: 365 },
  // PCI DSS v4.0.1, requirement 10.5.1: audit log history of at least twelve months.
  { names: /PCI|PAYMENTCARDINDUSTRY/, days: 365 },
];

/** The longest minimum of any framework: it counts where nobody knows the frameworks. */
export const LONGEST_MINIMUM_DAYS = Math.max(...FAMILIES.map(({ days }) => days));

/** Without accents, and without the forms in which Unicode has a letter a second time: wide, raised, encircled. */
function folded(name: string): string {
  return name.normalize('NFKD').replace(/\p{M}/gu, '');
}

/**
 * Whether a name is in Latin letters and digits. Those of other alphabets can look the same and are not the same: a name in them
 * could be read as a framework whose minimum it does not set.
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

/** Each write asks for its tenant's minimum some times; the tenant's list is the same one for some seconds. */
const found = new WeakMap<readonly string[], FrameworkMinimum | undefined>();

/** The longest minimum that these frameworks set, and the framework that sets it; undefined where none does. */
export function minimumOf(frameworks: readonly string[]): FrameworkMinimum | undefined {
  if (!found.has(frameworks)) found.set(frameworks, findMinimum(frameworks));
  return found.get(frameworks);
}
