/** The least that evidence is kept under a framework, in days. */
export interface FrameworkMinimum {
  readonly framework: string;
  readonly days: number;
}

/**
 * Families of frameworks, each by what a name of it contains once it is in capitals and without punctuation: years, versions and
 * attestation types come and go (“HIPAA 2013”, “SOC 2 Type II”, “ISO/IEC 27001:2022”). A name of no family sets no minimum.
 */
const FAMILIES: readonly { readonly names: RegExp; readonly days: number }[] = [
  // 45 CFR 164.316(b)(2)(i): six years from the day it was made or was last in effect.
  { names: /HIPAA|HITECH|HEALTHINSURANCEPORTABILITY|45CFR16[04]/, days: 2190 },
  // No figure in the criteria; a Type 2 report looks back over a period of up to twelve months.
  { names: /SOC(?:2|II(?!I))/, days: 365 },
  // No figure in the standard; certification is followed up by yearly surveillance audits (ISO/IEC 17021-1, 9.6.2).
  { names: /27001/, days: 365 },
  // PCI DSS v4.0.1, requirement 10.5.1: audit log history of at least twelve months.
  { names: /PCI|PAYMENTCARDINDUSTRY/, days: 365 },
];

function daysOf(framework: string): number {
  const name = framework
    .normalize('NFKC')
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '');
  return Math.max(0, ...FAMILIES.flatMap(({ names, days }) => (names.test(name) ? [days] : [])));
}

/** The longest minimum that these frameworks set, and the framework that sets it; undefined where none does. */
export function minimumOf(frameworks: readonly string[]): FrameworkMinimum | undefined {
  const [longest] = frameworks
    .map((framework) => ({ framework, days: daysOf(framework) }))
    .sort((left, right) => right.days - left.days);
  return longest === undefined || longest.days === 0 ? undefined : longest;
}
