import { z } from 'zod';
import type { Context } from './context.ts';
import { readParam } from './form.ts';
import { list, parseParams, text } from './params.ts';
import { renderAnswer } from './render.ts';
import { notInStandIn } from './stripe-error.ts';

export type Method = 'GET' | 'POST' | 'DELETE';

/** One request that the stand-in can answer. */
export interface Route {
  readonly method: Method;
  readonly path: string;
  /** Checks the parameters, which may throw an answer, and returns what then runs in a transaction and gives the answer's body. */
  prepare(params: Record<string, unknown>, ids: readonly string[]): (context: Context) => unknown;
}

interface RouteDeclaration<Shape extends z.ZodRawShape> {
  readonly method: Method;
  /** `/v1/customers/{id}`. */
  readonly path: string;
  /** All parameters that the stand-in knows. Others are refused, as Stripe refuses unknown ones. `expand` is added. */
  readonly params: Shape;
  /** Parameters that Stripe has and the stand-in has not (501), also nested: `recurring[aggregate_usage]`. */
  readonly unsupported?: readonly string[];
  /** Runs in a transaction; its result is the answer. `ids` are those of the path. Errors are thrown as `StripeError`. */
  readonly run: (
    context: Context,
    params: z.output<z.ZodObject<Shape, z.core.$strict>>,
    ...ids: string[]
  ) => object;
}

const RUN_ARGUMENTS_BEFORE_IDS = 2;

function refuseUnsupported(params: unknown, unsupported: readonly string[]): void {
  for (const name of unsupported) {
    const way = name.split(/[[\]]+/).filter((step) => step !== '');
    if (readParam(params, way) !== undefined) throw notInStandIn(`the parameter ${name}`, name);
  }
}

/** Declares a route. */
export function route<const Shape extends z.ZodRawShape>({
  method,
  path,
  params: shape,
  unsupported = [],
  run,
}: RouteDeclaration<Shape>): Route {
  const names = path.match(/\{\w+\}/g) ?? [];
  if (run.length > RUN_ARGUMENTS_BEFORE_IDS + names.length)
    throw new Error(`${path} has fewer ids than its run takes`);
  const schema = z.strictObject(shape);
  const expandSchema = list(text());
  return {
    method,
    path,
    prepare: ({ expand: expandParam, ...others }, ids) => {
      refuseUnsupported(others, unsupported);
      const params = parseParams(schema, others);
      const expand = expandParam === undefined ? [] : parseParams(expandSchema, expandParam);
      return (context) => renderAnswer(context.store, context.now(), run(context, params, ...ids), expand);
    },
  };
}
