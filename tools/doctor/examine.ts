import { setTimeout as delay } from 'node:timers/promises';
import { notChecked, problem, RESULTS, type Check, type Finding, type Result } from './check.ts';
import { describeError } from './describe-error.ts';
import { NotChecked } from './not-checked.ts';
import type { Patient } from './patient.ts';

/** The longest time of one check. All run side by side, so the examination takes little longer. */
const CHECK_MS = 8_000;

/** What one check has found. */
export interface Examined {
  readonly check: Check;
  /** The worst of its findings. */
  readonly result: Result;
  /** At least one. */
  readonly findings: readonly Finding[];
  readonly ms: number;
}

/** The worst of some results. */
export function worstOf(results: readonly Result[]): Result {
  return RESULTS.toReversed().find((result) => results.includes(result)) ?? 'ok';
}

async function examineOne(check: Check, patient: Patient, limitMs: number): Promise<Examined> {
  const start = performance.now();
  const stop = new AbortController();
  const late = delay(limitMs, undefined, { signal: stop.signal, ref: true }).then((): Finding =>
    problem(
      `no answer within ${limitMs / 1000} s`,
      'see whether its host can be reached from here (firewall, private endpoint, VPN) and is not overloaded',
    ),
  );
  late.catch(() => undefined);
  const found = Promise.resolve()
    .then(() => check.run(patient))
    .catch((error: unknown): Finding => {
      if (error instanceof NotChecked) return notChecked(error.message, error.remedy);
      return problem(
        `the check failed: ${describeError(error)}`,
        `look at ${check.looksAt} yourself; if that is right, this is a fault of the doctor`,
      );
    });
  const outcome = await Promise.race([found, late]);
  stop.abort();
  const findings: readonly Finding[] = 'result' in outcome ? [outcome] : outcome;
  const result = worstOf(findings.map((finding) => finding.result));
  return { check, result, findings, ms: Math.round(performance.now() - start) };
}

/** Runs all checks side by side. None can hide or delay another one for longer than its limit. Never rejects. */
export function examine(
  checks: readonly Check[],
  patient: Patient,
  limitMs = CHECK_MS,
): Promise<readonly Examined[]> {
  return Promise.all(checks.map((check) => examineOne(check, patient, limitMs)));
}
