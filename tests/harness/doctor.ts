import { execFile, type ExecFileException } from 'node:child_process';
import path from 'node:path';
import { format, inspect } from 'node:util';
import { findTypeScriptNode } from '../../dev/processes/node-command.ts';
import { runCommand } from '../../tools/doctor/command.ts';

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

/**
 * Runs the doctor in this process, with only these variables. It starts no process, which takes longer than the examination. What is
 * logged meanwhile counts as printed, as it would be, so not for a file that has an app in this process.
 */
export async function runDoctorHere(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<DoctorRun> {
  const start = performance.now();
  const logged = collectOutput();
  try {
    const { code, stdout, stderr, close } = await runCommand(args, { environment, hasColours: false });
    await close();
    return {
      code,
      stdout: logged.stdout.join('') + stdout,
      stderr: logged.stderr.join('') + stderr,
      ms: performance.now() - start,
    };
  } finally {
    logged.end();
  }
}

/** Collects what this process logs, and Node's warnings, until its end. */
function collectOutput(): {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  end(): void;
} {
  const streams = { stdout: new Array<string>(), stderr: new Array<string>() };
  const undo: (() => void)[] = [];
  for (const [method, stream] of [
    ['log', 'stdout'],
    ['info', 'stdout'],
    ['debug', 'stdout'],
    ['warn', 'stderr'],
    ['error', 'stderr'],
  ] as const) {
    const usual = console[method].bind(console);
    console[method] = (...parts: unknown[]) => void streams[stream].push(`${format(...parts)}\n`);
    undo.push(() => void (console[method] = usual));
  }
  const warned = (warning: Error): void => void streams.stderr.push(`${inspect(warning)}\n`);
  process.on('warning', warned);
  undo.push(() => void process.off('warning', warned));
  return { ...streams, end: () => undo.forEach((step) => step()) };
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
