import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { createVitest, type TestModule, type Vitest } from 'vitest/node';

/** A test file, the mutants that it covers, and how long it takes. */
export interface CoveringFile {
  readonly file: string;
  readonly milliseconds: number;
  readonly covered: ReadonlySet<string>;
}

const coverageFile = z.object({ file: z.string(), covered: z.array(z.string()) });

/** Runs a sandbox's test files many times on one set of servers. */
export class TestRunner {
  readonly #vitest: Vitest;

  private constructor(vitest: Vitest) {
    this.#vitest = vitest;
  }

  /** `sandbox`: the copy with the mutants. `workers`: how many test files run at the same time. */
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

  /** Runs the wanted test files without a mutant and returns the mutants that each covers. @throws if a test fails. */
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

  /** Whether one of these test files fails with the mutant active. */
  async isKilled(mutantId: string, files: readonly string[]): Promise<boolean> {
    process.env['__STRYKER_ACTIVE_MUTANT__'] = mutantId;
    try {
      return (await this.#run(files)).some((module) => !module.ok());
    } finally {
      delete process.env['__STRYKER_ACTIVE_MUTANT__'];
    }
  }

  /** Stops the servers. */
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
