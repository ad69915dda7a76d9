import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import {
  BaseSequencer,
  createVitest,
  type TestModule,
  type TestSpecification,
  type Vitest,
} from 'vitest/node';

/** A test file, the mutants that it covers, and how long it takes. */
export interface CoveringFile {
  readonly file: string;
  readonly milliseconds: number;
  readonly covered: ReadonlySet<string>;
}

const coverageFile = z.object({ file: z.string(), covered: z.array(z.string()) });

/**
 * After so many files the servers are renewed. Each file needs an account of its own. The servers have 400 of them, and one run
 * needs at most one for each of the repository's test files.
 */
const FILES_PER_START = 250;

/** Keeps the order in which the files are given. Vitest would start with the slowest. */
class GivenOrder extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return Promise.resolve(files);
  }
}

/** What a run of test files showed. */
interface Run {
  readonly ended: readonly TestModule[];
  /** The first failed file, or a process that ended by itself. */
  readonly failure: string | undefined;
}

/** Runs a sandbox's test files many times on few sets of servers. */
export class TestRunner {
  readonly #sandbox: string;
  readonly #workers: number;
  #vitest: Promise<Vitest> | undefined;
  #bails = false;
  #files = 0;
  #ended: TestModule[] = [];
  #failedFiles: string[] = [];

  /** `sandbox`: the copy with the mutants. `workers`: how many test files run at the same time. */
  constructor(sandbox: string, workers: number) {
    this.#sandbox = sandbox;
    this.#workers = workers;
    process.chdir(sandbox);
  }

  /** All test files of the sandbox. */
  async files(): Promise<string[]> {
    const vitest = await this.#open(false);
    return (await vitest.globTestSpecifications()).map(({ moduleId }) => moduleId);
  }

  /**
   * Runs test files without a mutant and returns the mutants that each covers, and the files that failed. Those say nothing
   * about a mutant.
   */
  async cover(
    folder: string,
    files: readonly string[],
  ): Promise<{ covering: CoveringFile[]; failed: string[] }> {
    process.env['MUTATE_COVERAGE_FOLDER'] = folder;
    const { ended } = await this.#run(files, false).finally(
      () => delete process.env['MUTATE_COVERAGE_FOLDER'],
    );
    const durations = new Map(
      ended
        .filter((module) => module.ok())
        .map((module) => [module.moduleId, module.diagnostic().duration] as const),
    );
    const covering = readdirSync(folder).flatMap((name) => {
      const { file, covered } = coverageFile.parse(JSON.parse(readFileSync(path.join(folder, name), 'utf8')));
      const milliseconds = durations.get(file);
      return milliseconds === undefined ? [] : [{ file, covered: new Set(covered), milliseconds }];
    });
    return { covering, failed: files.filter((file) => !durations.has(file)) };
  }

  /** Which of these test files fails first with the mutant active; undefined if none does. */
  async killerOf(mutantId: string, files: readonly string[]): Promise<string | undefined> {
    process.env['__STRYKER_ACTIVE_MUTANT__'] = mutantId;
    try {
      return (await this.#run(files, true)).failure;
    } finally {
      delete process.env['__STRYKER_ACTIVE_MUTANT__'];
    }
  }

  /** Stops the servers. */
  async close(): Promise<void> {
    await (await this.#vitest)?.close();
    this.#vitest = undefined;
  }

  async #run(files: readonly string[], bails: boolean): Promise<Run> {
    if (bails !== this.#bails || this.#files > FILES_PER_START) await this.close();
    const vitest = await this.#open(bails);
    const specifications = await vitest.globTestSpecifications([...files]);
    const wanted = files.flatMap((file) => specifications.filter(({ moduleId }) => moduleId === file));
    // Not Vitest's own list: it also has the results of earlier runs.
    this.#ended = [];
    this.#failedFiles = [];
    const { unhandledErrors } = await vitest.runTestSpecifications(wanted);
    const failed = this.#ended.find((module) => !module.ok());
    const crash = unhandledErrors.length > 0 ? 'a process that ended by itself' : undefined;
    // A run that ends with its first failed test may stop that test's file before the file has reported its own end.
    const failure = this.#failedFiles[0] ?? failed?.moduleId ?? crash;
    if (failure === undefined && this.#ended.length < wanted.length)
      throw new Error(`${wanted.length - this.#ended.length} test files did not end`);
    return { ended: this.#ended, failure };
  }

  /** `bails`: a run ends with its first failed test. */
  #open(bails: boolean): Promise<Vitest> {
    if (this.#vitest !== undefined) return this.#vitest;
    this.#bails = bails;
    this.#files = 0;
    this.#vitest = this.#create(bails);
    return this.#vitest;
  }

  async #create(bails: boolean): Promise<Vitest> {
    const vitest = await createVitest('test', {
      root: this.#sandbox,
      config: path.join(this.#sandbox, 'vitest.config.ts'),
      watch: false,
      bail: bails ? 1 : 0,
      silent: true,
      reporters: [
        {
          onTestModuleQueued: () => void (this.#files += 1),
          onTestModuleEnd: (module) => void this.#ended.push(module),
          onTestCaseResult: (test) => {
            if (test.result().state === 'failed') this.#failedFiles.push(test.module.moduleId);
          },
        },
      ],
      sequence: { sequencer: GivenOrder },
    });
    // Of the options above, these would reach only projects that do not have their own.
    for (const { config } of vitest.projects) {
      config.setupFiles.push(path.join(this.#sandbox, 'dev/mutate/coverage-setup.ts'));
      config.maxWorkers = this.#workers;
    }
    return vitest;
  }
}
