import { isRelease } from './releases.ts';

/**
 * What a migration does to the builds that run meanwhile. `expand` adds what no running build needs yet, `migrate` fills it with
 * data, and `contract` removes what no running build needs any more.
 */
export type Phase = 'expand' | 'migrate' | 'contract';

/** The labels in a migration's comments. */
export interface MigrationLabels {
  /** Undefined for the files before the first release, which have no label. */
  readonly phase: Phase | undefined;
  /** Of a contract migration: the first release that does not need what it removes. */
  readonly afterRelease: string | undefined;
  /** Its statements run one by one, outside a transaction. */
  readonly outsideTransaction: boolean;
}

const LABEL = /^-- (phase|after-release):(.*)$/gm;
const NO_TRANSACTION = /^-- no-transaction$/m;

function isPhase(text: string): text is Phase {
  return text === 'expand' || text === 'migrate' || text === 'contract';
}

/** Reads a migration's labels. Throws, with the file's name, when they are wrong or contradict each other. */
export function readLabels(name: string, text: string): MigrationLabels {
  const found = { phase: undefined as string | undefined, 'after-release': undefined as string | undefined };
  for (const [, label, value] of text.matchAll(LABEL)) {
    const key = label as keyof typeof found;
    if (found[key] !== undefined) throw new Error(`${name}: has the label "${key}" twice`);
    found[key] = (value ?? '').trim();
  }
  const { phase, 'after-release': afterRelease } = found;
  if (phase !== undefined && !isPhase(phase))
    throw new Error(`${name}: the phase is "${phase}", and must be expand, migrate or contract`);
  if ((phase === 'contract') !== (afterRelease !== undefined))
    throw new Error(
      `${name}: "-- after-release: 1.2.3" belongs to "-- phase: contract", and to nothing else`,
    );
  if (afterRelease !== undefined && !isRelease(afterRelease))
    throw new Error(`${name}: the after-release is "${afterRelease}", and must be a release like 1.2.3`);
  return { phase, afterRelease, outsideTransaction: NO_TRANSACTION.test(text) };
}
