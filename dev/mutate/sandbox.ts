import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Instrumenter } from '@stryker-mutator/instrumenter';

/** One changed place in the code. */
export interface Mutant {
  readonly id: string;
  /** A path from the repository's root. */
  readonly file: string;
  /** The first line is 1. */
  readonly line: number;
  readonly mutator: string;
  /** The new code at this place. */
  readonly replacement: string;
}

/**
 * Texts are not mutated: most of them are SQL. Any test notices an empty statement, so they would only raise the score.
 */
const EXCLUDED_MUTATORS = ['StringLiteral', 'Regex'];

/** The part of Babel's path that {@link PLAN_OPTIONS} reads. */
interface NodePath {
  readonly node?: {
    readonly type: string;
    readonly properties?: readonly { readonly key?: { readonly name?: string } }[];
  };
}

/**
 * `{ prepare: false }` and `{ short: true }` change only how a statement is planned and sent, not its result: a mutant there is
 * the same program. What plans read is measured by `tests/no-statistics`.
 */
const PLAN_OPTIONS = {
  shouldIgnore({ node }: NodePath): string | undefined {
    if (node?.type !== 'ObjectExpression' || node.properties?.length !== 1) return undefined;
    return /^(prepare|short)$/.test(node.properties[0]?.key?.name ?? '') ? 'only the plan' : undefined;
  },
};

const quiet = (): void => undefined;
const LOGGER = {
  isTraceEnabled: () => false,
  isDebugEnabled: () => false,
  isInfoEnabled: () => false,
  isWarnEnabled: () => false,
  isErrorEnabled: () => false,
  isFatalEnabled: () => false,
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
  fatal: quiet,
};

/** The code files of some folders, without tests. */
export function sourcesOf(root: string, folders: readonly string[]): string[] {
  return folders
    .flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root }))
    .filter((file) => !file.endsWith('.test.ts'))
    .sort();
}

/** The repository's files, new ones too. */
export function listFiles(root: string): string[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return listed.split('\n').filter(Boolean);
}

/**
 * Copies the repository's files into a folder and puts every mutant of `files` into the copy. The environment variable
 * `__STRYKER_ACTIVE_MUTANT__` activates one of them, so all mutants share one copy, one build and one set of servers.
 */
export async function makeSandbox(
  root: string,
  sandbox: string,
  files: readonly string[],
): Promise<Mutant[]> {
  mkdirSync(sandbox, { recursive: true });
  for (const file of listFiles(root)) {
    try {
      cpSync(path.join(root, file), path.join(sandbox, file));
    } catch (error) {
      // Git also lists a removed file until its removal is committed.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  symlinkSync(realpathSync(path.join(root, 'node_modules')), path.join(sandbox, 'node_modules'));
  const instrumenter = new Instrumenter(LOGGER);
  const { files: instrumented, mutants } = await instrumenter.instrument(
    files.map((file) => ({ name: file, content: readFileSync(path.join(root, file), 'utf8'), mutate: true })),
    { plugins: null, excludedMutations: EXCLUDED_MUTATORS, ignorers: [PLAN_OPTIONS] },
  );
  for (const { name, content } of instrumented) writeFileSync(path.join(sandbox, name), content);
  // Excluded ones are in the list, but not in the code.
  const placed = mutants.filter(({ status }) => status !== 'Ignored');
  return placed.map(({ id, fileName, mutatorName, replacement, location }) => ({
    id,
    file: fileName,
    line: location.start.line + 1,
    mutator: mutatorName,
    replacement,
  }));
}
