import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { createVitest, type TestModule, type Vitest } from 'vitest/node';

/** A test file that passes by some mutants, and how long it takes. */
export interface CoveringFile {
  readonly file: string;
  readonly milliseconds: number;
  readonly covered: ReadonlySet<string>;
}

const coverageFile = z.object({ file: z.string(), covered: z.array(z.string()) });

/** Runs test files of a sandbox, again and again, on one set of servers. */
export class TestRunner {
  readonly #vitest: Vitest;

  private constructor(vitest: Vitest) {
    this.#vitest = vitest;
  }

  /** `sandbox`: the copy with the mutants. `workers`: test files at once. */
  static async start(sandbox: string, workers: number): Promise<TestRunner> {
    process.chdir(sandbox);
    const vitest = await createVitest('test', {
      root: sandbox,
      config: path.join(sandbox, 'vitest.config.ts'),
      watch: false,
      bail: 1,
      silent: true,
      reporters: [{}],
      maxWorkers: workers,
      setupFiles: [path.join(sandbox, 'dev/mutate/coverage-setup.ts')],
    });
    return new TestRunner(vitest);
  }

  /** Runs every test file but the excluded ones, unmutated, and tells what each passes by. @throws if a test fails. */
  async cover(folder: string, isWanted: (file: string) => boolean): Promise<CoveringFile[]> {
    process.env['MUTATE_COVERAGE_FOLDER'] = folder;
    const files = (await this.#vitest.globTestSpecifications())
      .map(({ moduleId }) => moduleId)
      .filter(isWanted);
    const modules = await this.#run(files);
    delete process.env['MUTATE_COVERAGE_FOLDER'];
    const failed = modules.filter((module) => !module.ok());
    if (failed.length > 0)
      throw new Error(
        `without a mutant these tests fail: ${failed.map(({ moduleId }) => moduleId).join(', ')}`,
      );
    const durations = new Map(modules.map((module) => [module.moduleId, module.diagnostic().duration]));
    return readdirSync(folder).map((name) => {
      const { file, covered } = coverageFile.parse(JSON.parse(readFileSync(path.join(folder, name), 'utf8')));
      return { file, covered: new Set(covered), milliseconds: durations.get(file) ?? 0 };
    });
  }

  /** Whether one of these test files fails with the mutant switched on. */
  async isKilled(mutantId: string, files: readonly string[]): Promise<boolean> {
    process.env['__STRYKER_ACTIVE_MUTANT__'] = mutantId;
    try {
      return (await this.#run(files)).some((module) => !module.ok());
    } finally {
      delete process.env['__STRYKER_ACTIVE_MUTANT__'];
    }
  }

  /** Ends the servers. */
  close(): Promise<void> {
    return this.#vitest.close();
  }

  async #run(files: readonly string[]): Promise<readonly TestModule[]> {
    const specifications = await this.#vitest.globTestSpecifications([...files]);
    const wanted = specifications.filter(({ moduleId }) => files.includes(moduleId));
    const { testModules } = await this.#vitest.runTestSpecifications(wanted);
    return testModules;
  }
}
