import Stripe from 'stripe';
import { z } from 'zod';
import { readParam, writeParam } from './form.ts';
import { invalidRequest, notInStandIn } from './stripe-error.ts';
import type { StripeError } from './stripe-error.ts';

/** Why a value is refused: Stripe's `code`, if it has one, and the text. `%` stands for the parameter's name. */
interface Refusal {
  readonly code?: string;
  readonly message: string;
}

const isRefusal = Symbol('refusal');

function refuse(message: string, code?: string): Refusal & { [isRefusal]: true } {
  return { [isRefusal]: true, message, ...(code === undefined ? {} : { code }) };
}

const EMPTY = refuse(
  "You passed an empty string for '%'. We assume empty values are an attempt to unset a parameter; however '%' cannot be unset. You should remove '%' from your request or supply a non-empty value.",
  'parameter_invalid_empty',
);

type Refused = ReturnType<typeof refuse>;

function wasRefused(read: unknown): read is Refused {
  return typeof read === 'object' && read !== null && isRefusal in read;
}

/** A schema of one value, which comes as a string from a form, or as itself from JSON. */
function scalar<T>(read: (value: unknown) => T | Refused): z.ZodType<T> {
  return z.unknown().transform((value, context) => {
    const result = value === '' ? EMPTY : read(value);
    if (!wasRefused(result)) return result;
    context.addIssue({ code: 'custom', message: result.message, params: { stripeCode: result.code } });
    return z.NEVER;
  });
}

interface Limits {
  readonly min?: number;
  readonly max?: number;
}

/** Text that is not empty, of at most `max` characters. */
export function text({ max = 5000 }: Limits = {}): z.ZodType<string> {
  return scalar((value) => {
    if (typeof value !== 'string') return refuse('Invalid string: %');
    if (value.length > max) return refuse(`Invalid string: % must be at most ${max} characters`);
    return value;
  });
}

export function integer({ min = -99_999_999, max = 99_999_999_999 }: Limits = {}): z.ZodType<number> {
  return scalar((value) => {
    const number = typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isSafeInteger(number))
      return refuse(`Invalid integer: ${String(value)}`, 'parameter_invalid_integer');
    if (number < min)
      return refuse(`This value must be greater than or equal to ${min}.`, 'parameter_invalid_integer');
    if (number > max)
      return refuse(`This value must be less than or equal to ${max}.`, 'parameter_invalid_integer');
    return number;
  });
}

/** An amount in the currency's minor unit. */
export function amount(): z.ZodType<number> {
  return integer({ min: 0, max: 99_999_999 });
}

/** Seconds since 1970. */
export function timestamp(): z.ZodType<number> {
  return integer({ min: 0 });
}

export function boolean(): z.ZodType<boolean> {
  return scalar((value) => {
    if (value === true || value === 'true') return true;
    if (value === false || value === 'false') return false;
    return refuse(`Invalid boolean: ${String(value)}`);
  });
}

export function decimal(): z.ZodType<Stripe.Decimal> {
  return scalar((value) => {
    if (typeof value !== 'string' || !/^-?\d{1,12}(\.\d{1,12})?$/.test(value))
      return refuse(`Invalid decimal: ${String(value)}`);
    return Stripe.Decimal.from(value);
  });
}

export function oneOf<const T extends string>(...values: readonly T[]): z.ZodType<T> {
  return scalar((value) => {
    const found = values.find((one) => one === value);
    const choice = values.length === 1 ? '' : `${values.slice(0, -1).join(', ')}, or `;
    return found ?? refuse(`Invalid %: must be one of ${choice}${values.at(-1) ?? ''}`);
  });
}

/** Three letters, in lower case as Stripe keeps them. */
export function currency(): z.ZodType<string> {
  return scalar((value) =>
    typeof value === 'string' && /^[a-z]{3}$/i.test(value)
      ? value.toLowerCase()
      : refuse(`Invalid currency: ${String(value)}.`),
  );
}

/** A parameter with parameters of its own; unknown ones are refused. */
export function hash<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape);
}

export function list<Item extends z.ZodType>(item: Item): z.ZodType<z.output<Item>[]> {
  return z.preprocess((value) => (value === '' ? [] : value), z.array(item));
}

/** Also takes the empty string, which unsets: it becomes null. */
export function clearable<Inner extends z.ZodType>(inner: Inner): z.ZodType<z.output<Inner> | null> {
  return z.preprocess((value) => (value === '' ? null : value), inner.nullable());
}

/** `created`, as lists filter by it: a second, or bounds. */
export function timeRange(): z.ZodType<number | { gt?: number; gte?: number; lt?: number; lte?: number }> {
  const bounds = z.strictObject({
    gt: timestamp().exactOptional(),
    gte: timestamp().exactOptional(),
    lt: timestamp().exactOptional(),
    lte: timestamp().exactOptional(),
  });
  const exact = timestamp();
  return z.unknown().transform((value, context) => {
    const parsed = (typeof value === 'object' ? bounds : exact).safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) {
      const { message, params = {} } = issue.code === 'custom' ? issue : { message: 'Invalid time range: %' };
      context.addIssue({ code: 'custom', message, path: issue.path, params });
    }
    return z.NEVER;
  });
}

/** True where a time lies in a range; a range that is left out holds every time. */
export function isInRange(time: number, range: z.output<ReturnType<typeof timeRange>> | undefined): boolean {
  if (range === undefined) return true;
  if (typeof range === 'number') return time === range;
  const { gt = -Infinity, gte = -Infinity, lt = Infinity, lte = Infinity } = range;
  return time > gt && time >= gte && time < lt && time <= lte;
}

/** One of the values that the stand-in does. `others` are those that Stripe has beside them (501). */
export function supportedOf<const T extends string>(
  name: string,
  supported: readonly T[],
  others: readonly string[],
): z.ZodType<T> {
  const known = oneOf(...supported, ...others);
  return known.transform((value) => {
    const found = supported.find((one) => one === value);
    if (found === undefined) throw notInStandIn(`${name}=${value}`, name);
    return found;
  });
}

/** A parameter inside of a list that Stripe has and the stand-in has not (501). Elsewhere, a route lists it as `unsupported`. */
export function unsupported(name: string): z.ZodOptional {
  return z
    .unknown()
    .transform(() => {
      throw notInStandIn(`the parameter ${name}`, name);
    })
    .optional();
}

function describeIssue(issue: z.core.$ZodIssue, params: unknown): StripeError {
  if (issue.code === 'unrecognized_keys') {
    const unknown = issue.keys.map((key) => writeParam([...issue.path, key]));
    const noun = unknown.length === 1 ? 'parameter' : 'parameters';
    return invalidRequest(`Received unknown ${noun}: ${unknown.join(', ')}`, {
      code: 'parameter_unknown',
      param: unknown[0] ?? '',
    });
  }
  const param = writeParam(issue.path);
  const value = readParam(params, issue.path);
  if (value === undefined)
    return invalidRequest(`Missing required param: ${param}.`, { code: 'parameter_missing', param });
  const code: unknown = issue.code === 'custom' ? issue.params?.['stripeCode'] : undefined;
  const message =
    issue.code === 'custom'
      ? issue.message.replaceAll('%', param)
      : `Invalid ${issue.code === 'invalid_type' && issue.expected === 'array' ? 'array' : 'object'}`;
  return invalidRequest(message, { param, ...(typeof code === 'string' ? { code } : {}) });
}

/** Parses parameters, or throws what Stripe would answer: unknown ones first. */
export function parseParams<Schema extends z.ZodType>(schema: Schema, params: unknown): z.output<Schema> {
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const first = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  throw first === undefined ? invalidRequest('Invalid request') : describeIssue(first, params);
}
