import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { NoBicepError } from '../../tools/bicep/bicep-compiler.ts';
import {
  BICEP_FOLDER,
  compileTemplates,
  ENVIRONMENTS,
  EXAMPLE_VARIABLES,
  predictDeployment,
  type DeploymentVariables,
} from '../../tools/bicep/compile-templates.ts';

export { ENVIRONMENTS, EXAMPLE_VARIABLES };

/** A JSON value, or undefined where nothing is. */
type Value = unknown;

/** A resource that a deployment would make, with its values. Those that only Azure knows are `[reference(…)]`. */
export interface PredictedResource {
  readonly id: string;
  /** `Microsoft.Web/sites/config`. */
  readonly type: string;
  /** The last part of its name. */
  readonly name: string;
  readonly apiVersion: string;
  readonly location?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly kind?: string | undefined;
  readonly sku?: Value;
  readonly identity?: Value;
  readonly zones?: readonly string[] | undefined;
  readonly properties: Readonly<Record<string, Value>>;
  /** Everything, as the compiler has it. */
  readonly whole: Readonly<Record<string, Value>>;
}

/** A deployment of one environment. */
export interface Prediction {
  readonly environment: string;
  readonly resources: readonly PredictedResource[];
  /** The parameter file's values. */
  readonly parameters: Readonly<Record<string, Value>>;
}

const snapshotSchema = z.object({
  predictedResources: z.array(
    z.looseObject({
      id: z.string(),
      type: z.string(),
      name: z.string(),
      apiVersion: z.string(),
      location: z.string().optional(),
      tags: z.record(z.string(), z.string()).optional(),
      kind: z.string().optional(),
      zones: z.array(z.string()).optional(),
      properties: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
  diagnostics: z.array(z.unknown()),
});

const parametersSchema = z.object({
  parameters: z.record(z.string(), z.object({ value: z.unknown() })).optional(),
});

function readPrediction(environment: string, snapshot: string, parameters = '{}'): Prediction {
  const predicted = snapshotSchema.parse(JSON.parse(snapshot));
  const values = parametersSchema.parse(JSON.parse(parameters)).parameters ?? {};
  return {
    environment,
    parameters: Object.fromEntries(Object.entries(values).map(([name, { value }]) => [name, value])),
    resources: predicted.predictedResources.map((whole) => ({
      ...whole,
      name: whole.name.split('/').at(-1) ?? '',
      properties: whole.properties ?? {},
      whole,
    })),
  };
}

/** The compiled templates: what the tests of `bicep/` read. */
export interface Compiled {
  readonly diagnostics: readonly string[];
  /** The ARM template, with its modules as nested templates. */
  readonly template: Readonly<Record<string, Value>>;
  readonly predictions: readonly Prediction[];
  /** The prediction of one parameter file. */
  of(environment: string): Prediction;
}

/**
 * Compiles the templates once (other test files find the result), or returns undefined where no compiler can be had, which it
 * says. Then the tests of the compiled templates are not run, and those of the source are.
 */
export async function compiled(): Promise<Compiled | undefined> {
  try {
    const made = await compileTemplates();
    if (made.diagnostics.some((line) => line.includes(' : Error '))) {
      throw new Error(`the templates do not compile:\n${made.diagnostics.join('\n')}`);
    }
    const predictions = [...made.environments].map(([environment, { parameters, snapshot }]) =>
      readPrediction(environment, snapshot, parameters),
    );
    return {
      diagnostics: made.diagnostics,
      template: z.record(z.string(), z.unknown()).parse(JSON.parse(made.template)),
      predictions,
      of(environment) {
        const found = predictions.find((one) => one.environment === environment);
        if (found === undefined) throw new Error(`no parameter file ${environment}.bicepparam`);
        return found;
      },
    };
  } catch (error) {
    if (!(error instanceof NoBicepError)) throw error;
    process.stderr.write(`The compiled templates are not tested, only their source: ${error.message}\n`);
    return undefined;
  }
}

/**
 * What an environment's parameter file would deploy with other values of some parameters or variables. Takes the compiler's time:
 * call it while a test file is read, where no limit of a test counts it.
 */
export async function predictedWith(
  environment: (typeof ENVIRONMENTS)[number],
  parameters: Readonly<Record<string, string>>,
  variables: DeploymentVariables = EXAMPLE_VARIABLES,
): Promise<Prediction> {
  let text = sourceOf(`${environment}.bicepparam`);
  for (const [name, value] of Object.entries(parameters)) {
    const line = new RegExp(`^param ${name} = .*$`, 'm');
    if (!line.test(text)) throw new Error(`${environment}.bicepparam has no ${name}`);
    text = text.replace(line, `param ${name} = ${value}`);
  }
  return readPrediction(environment, await predictDeployment(text, variables));
}

/** The source of a template or parameter file, by its path in `bicep/`. */
export function sourceOf(file: string): string {
  return readFileSync(path.join(BICEP_FOLDER, file), 'utf8');
}

/** All templates and parameter files, by their paths in `bicep/`. */
export function sourceFiles(): string[] {
  return globSync('**/*.{bicep,bicepparam}', { cwd: BICEP_FOLDER }).sort();
}

/** The resources of a type. @throws when there is none: a rule about nothing would pass. */
export function ofType({ resources, environment }: Prediction, type: string): readonly PredictedResource[] {
  const found = resources.filter((one) => one.type.toLowerCase() === type.toLowerCase());
  if (found.length === 0) throw new Error(`${environment} has no ${type}`);
  return found;
}

/** The value at a path like `siteConfig.minTlsVersion`; undefined where nothing is. */
export function at(value: Value, dotted: string): Value {
  return dotted.split('.').reduce<Value>((inner, key) => {
    return typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined;
  }, value);
}

/** A template and the templates nested in it, with the path of their modules. */
export function templatesIn(
  template: Readonly<Record<string, Value>>,
  name = 'main',
): { readonly name: string; readonly template: Readonly<Record<string, Value>> }[] {
  const resources = Object.entries((template['resources'] ?? {}) as Record<string, Value>);
  return [
    { name, template },
    ...resources.flatMap(([symbol, resource]) => {
      const inner = at(resource, 'properties.template');
      return typeof inner === 'object' && inner !== null
        ? templatesIn(inner as Record<string, Value>, `${name}/${symbol}`)
        : [];
    }),
  ];
}
