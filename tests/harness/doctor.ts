import { execFile, type ExecFileException } from 'node:child_process';
import path from 'node:path';
import { findTypeScriptNode } from '../../dev/processes/node-command.ts';

/** A finding of `npm run doctor -- --json`. */
export interface DoctorFinding {
  readonly result: 'ok' | 'not checked' | 'warning' | 'problem';
  readonly detail: string;
  readonly do?: string;
}

/** The report of `npm run doctor -- --json`. */
export interface DoctorReport {
  readonly subject: string;
  readonly result: DoctorFinding['result'];
  readonly checks: readonly {
    readonly name: string;
    readonly group: string;
    readonly looks_at: string;
    readonly result: DoctorFinding['result'];
    readonly findings: readonly DoctorFinding[];
  }[];
}

/** A finished run. */
export interface DoctorRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

const MAIN = path.join(import.meta.dirname, '../../tools/doctor/main.ts');

/** Runs the doctor as a process, with only these variables and PATH. */
export function runDoctor(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input = '',
): Promise<DoctorRun> {
  const start = performance.now();
  return new Promise((resolve) => {
    const child = execFile(
      findTypeScriptNode(),
      [MAIN, ...args],
      { env: { PATH: process.env['PATH'], ...environment }, maxBuffer: 10_000_000 },
      (error: ExecFileException | null, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, stdout, stderr, ms: performance.now() - start });
      },
    );
    child.stdin?.end(input);
  });
}

/** The findings of a check. */
export function findingsOf(report: DoctorReport, name: string): readonly DoctorFinding[] {
  return report.checks.find((check) => check.name === name)?.findings ?? [];
}

/** The names of the checks that found something wrong. */
export function wrongOf(report: DoctorReport): string[] {
  return report.checks
    .filter(({ result }) => result === 'warning' || result === 'problem')
    .map(({ name }) => name);
}
