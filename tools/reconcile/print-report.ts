import { KINDS, type Finding } from './findings.ts';
import type { ReconcileReport } from './reconcile.ts';

/** Items that are shown of a finding. The JSON report has all. */
const SHOWN = 3;

/** The report as text: what was found, what mended it, and what a person must do. */
export function printReport(report: ReconcileReport): string {
  const { findings, moments, mend } = report;
  const restored = Object.entries(moments).map(([name, at]) => `${name} to ${at}`);
  const head = [
    `Restored: ${restored.join(', ')}.`,
    `Compared: ${report.tenants} tenants, from ${report.since} to ${report.until}.`,
  ];
  if (findings.length === 0) return [...head, 'No differences.', ''].join('\n');
  const open = findings.filter(({ mended }) => !mended).length;
  const tail = mend
    ? `${findings.length - open} of ${findings.length} differences are mended.`
    : `${findings.length} differences. Nothing was changed: run it with --mend.`;
  return [...head, '', ...kindsOf(findings).flatMap(printKind), tail, ''].join('\n');
}

function kindsOf(findings: readonly Finding[]): Finding[][] {
  const kinds = [...new Set(findings.map(({ kind }) => kind))];
  return kinds.map((kind) => findings.filter((finding) => finding.kind === kind));
}

function printKind(findings: readonly Finding[]): string[] {
  const [first] = findings;
  if (first === undefined) return [];
  const { what, mend } = KINDS[first.kind];
  const total = findings.reduce((sum, { count }) => sum + count, 0);
  const state = findings.every(({ mended }) => mended) ? 'mended' : 'open';
  return [
    `${first.kind}: ${total} (${state}): ${what}`,
    `  ${mend}`,
    ...findings.map((finding) => `  ${finding.tenantId ?? 'all'}: ${finding.count}${amountsOf(finding)}`),
    ...findings.flatMap(({ items }) => items.slice(0, SHOWN).map((item) => `    ${JSON.stringify(item)}`)),
    '',
  ];
}

function amountsOf({ amounts = {} }: Finding): string {
  const parts = Object.entries(amounts).map(([type, amount]) => `${type} ${Number(amount.toFixed(9))}`);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}
