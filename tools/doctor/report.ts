import { stripVTControlCharacters, styleText } from 'node:util';
import { GROUPS, type Finding, type Result } from './check.ts';
import { worstOf, type Examined } from './examine.ts';

/** What is reported besides the findings. */
export interface ReportHead {
  /** What was examined: where the settings come from. */
  readonly subject: string;
  readonly at: Date;
  readonly ms: number;
}

const COLOURS = { ok: 'green', 'not checked': 'gray', warning: 'yellow', problem: 'red' } as const;
const RESULT_WIDTH = 'not checked'.length;

/** Servers' messages could otherwise move the cursor or begin a line of their own. */
function oneLine(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/\s*[\r\n]+\s*/g, ' ');
}

/** The report as JSON, for machines. `hide` takes secrets out. */
export function reportJson(
  examined: readonly Examined[],
  head: ReportHead,
  hide: (text: string) => string,
): string {
  const checks = examined.map(({ check, result, findings, ms }) => ({
    name: check.name,
    group: check.group,
    looks_at: check.looksAt,
    result,
    findings: findings.map((finding) => ({
      ...finding,
      detail: hide(finding.detail),
      ...('do' in finding ? { do: hide(finding.do) } : {}),
    })),
    took_ms: ms,
  }));
  const report = {
    subject: hide(head.subject),
    checked_at: head.at.toISOString(),
    took_ms: head.ms,
    result: worstOf(examined.map(({ result }) => result)),
    checks,
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** The report as a table by group. Colours only with `colour`. */
export function reportTable(
  examined: readonly Examined[],
  head: ReportHead,
  hide: (text: string) => string,
  colour: boolean,
): string {
  const width = Math.max(...examined.map(({ check }) => check.name.length));
  const paint = (result: Result, text: string): string =>
    colour ? styleText(COLOURS[result], text, { validateStream: false }) : text;
  const strong = (text: string): string =>
    colour ? styleText('bold', text, { validateStream: false }) : text;
  const line = (finding: Finding, name: string): string[] => {
    const first = `  ${paint(finding.result, finding.result.padEnd(RESULT_WIDTH))}  ${name.padEnd(width)}  ${oneLine(hide(finding.detail))}`;
    const indent = ' '.repeat(2 + RESULT_WIDTH + 2 + width + 2);
    return 'do' in finding ? [first, `${indent}do: ${oneLine(hide(finding.do))}`] : [first];
  };
  const blocks = GROUPS.map((group) => {
    const rows = examined.filter(({ check }) => check.group === group);
    const lines = rows.flatMap(({ check, findings }) =>
      findings.flatMap((finding, n) => line(finding, n === 0 ? check.name : '')),
    );
    return rows.length === 0 ? '' : `${strong(group)}\n${lines.join('\n')}\n`;
  }).filter((block) => block !== '');
  const counts = (['problem', 'warning', 'not checked', 'ok'] as const)
    .map((result) => [result, examined.filter((one) => one.result === result).length] as const)
    .filter(([, number]) => number > 0)
    .map(([result, number]) => paint(result, `${number} ${result}`))
    .join(', ');
  return `${hide(head.subject)}\n\n${blocks.join('\n')}\n${counts}: ${examined.length} checks in ${(head.ms / 1000).toFixed(1)} s\n`;
}
