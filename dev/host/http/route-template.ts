/** One compiled segment of a route template. Its values come in the order of `names`. */
export type RouteSegment =
  | { readonly kind: 'literal'; readonly key: string }
  | {
      readonly kind: 'pattern';
      /** Two segments with the same shape match the same texts; only the names differ. */
      readonly shape: string;
      readonly names: readonly string[];
      /** ASP.NET's order: 2 with a constraint or a fixed part, 3 without; 4 and 5 are the same for a catch-all. */
      readonly rank: 2 | 3 | 4 | 5;
      /** The segment may be absent; the value is then the default, or missing. */
      readonly optional: boolean;
      readonly defaultValue: string | undefined;
      /** Matches the rest of the path, with its slashes. */
      readonly catchAll: boolean;
      readonly match: (text: string) => string[] | undefined;
    };

type Check = (text: string) => boolean;

const GUID =
  /^(?:[0-9a-f]{32}|\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?|\([0-9a-f-]{36}\))$/i;
const INT32_MAX = 2 ** 31 - 1;
const INT64_MAX = 2n ** 63n - 1n;

function isIntegerWithin(text: string, max: bigint): boolean {
  if (!/^[+-]?\d{1,19}$/.test(text)) return false;
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return value <= max && value >= -max - 1n;
}

const PLAIN_CHECKS: Record<string, Check> = {
  int: (text) => isIntegerWithin(text, BigInt(INT32_MAX)),
  long: (text) => isIntegerWithin(text, INT64_MAX),
  guid: (text) => GUID.test(text),
  alpha: (text) => /^[a-z]*$/i.test(text),
  bool: (text) => /^(?:true|false)$/i.test(text),
  decimal: (text) => /^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(text),
  double: (text) => text !== '' && Number.isFinite(Number(text)),
  float: (text) => text !== '' && Number.isFinite(Number(text)),
  datetime: (text) => !Number.isNaN(Date.parse(text)),
  required: (text) => text !== '',
};

const ARGUMENT_CHECKS: Record<string, (args: number[]) => Check> = {
  minlength:
    ([min = 0]) =>
    (text) =>
      text.length >= min,
  maxlength:
    ([max = 0]) =>
    (text) =>
      text.length <= max,
  length:
    ([min = 0, max = min]) =>
    (text) =>
      text.length >= min && text.length <= max,
  min:
    ([min = 0]) =>
    (text) =>
      isIntegerWithin(text, INT64_MAX) && Number(text) >= min,
  max:
    ([max = 0]) =>
    (text) =>
      isIntegerWithin(text, INT64_MAX) && Number(text) <= max,
  range:
    ([min = 0, max = 0]) =>
    (text) =>
      isIntegerWithin(text, INT64_MAX) && Number(text) >= min && Number(text) <= max,
};

function compileConstraint(text: string, template: string): Check {
  const [, name = text, args] = /^([a-z]+)(?:\((.*)\))?$/is.exec(text) ?? [];
  const key = name.toLowerCase();
  if (key === 'regex' && args !== undefined) {
    const pattern = new RegExp(args.replaceAll('{{', '{').replaceAll('}}', '}'), 'i');
    return (value) => pattern.test(value);
  }
  const plain = args === undefined ? PLAIN_CHECKS[key] : undefined;
  if (plain) return plain;
  const numbers = args?.split(',').map((part) => Number(part.trim()));
  const withArguments = numbers?.every(Number.isFinite) ? ARGUMENT_CHECKS[key]?.(numbers) : undefined;
  if (!withArguments) throw new Error(`Route "${template}": there is no route constraint "${text}".`);
  return withArguments;
}

/** Splits at `separator`, but not inside braces or parentheses. */
function splitOutside(text: string, separator: string): string[] {
  const parts: string[] = [''];
  let depth = 0;
  for (const char of text) {
    if (char === '{' || char === '(') depth++;
    if (char === '}' || char === ')') depth--;
    if (char === separator && depth === 0) parts.push('');
    else parts.push(`${parts.pop() ?? ''}${char}`);
  }
  return parts;
}

interface Parameter {
  readonly name: string;
  readonly constraints: readonly string[];
  readonly checks: readonly Check[];
  readonly optional: boolean;
  readonly defaultValue: string | undefined;
  readonly catchAll: boolean;
}

function parseParameter(inner: string, template: string): Parameter {
  const catchAll = inner.startsWith('*');
  let [head = '', ...constraints] = splitOutside(inner.replace(/^\*{1,2}/, ''), ':');
  let defaultValue: string | undefined;
  let optional = false;
  const last = constraints.pop() ?? head;
  const equals = splitOutside(last, '=');
  let trimmed = equals[0] ?? '';
  if (equals.length > 1) defaultValue = equals.slice(1).join('=');
  else if (trimmed.endsWith('?')) {
    optional = true;
    trimmed = trimmed.slice(0, -1);
  }
  if (last === head) head = trimmed;
  else constraints = [...constraints, trimmed];
  if (!/^[^{}/?*:=\s]+$/.test(head)) throw new Error(`Route "${template}": "{${inner}}" is not a parameter.`);
  const checks = constraints.map((text) => compileConstraint(text, template));
  return { name: head, constraints, checks, optional: optional || catchAll, defaultValue, catchAll };
}

type Part = string | Parameter;

/** Text and parameters of one segment, in order: `v{major}.{minor}` gives four parts. */
function parseParts(segment: string, template: string): Part[] {
  const parts: Part[] = [];
  let text = '';
  let depth = 0;
  for (const char of segment) {
    if (char === '{' && depth++ === 0) {
      if (text) parts.push(text);
      text = '';
    } else if (char === '}' && --depth === 0) {
      parts.push(parseParameter(text, template));
      text = '';
    } else text += char;
    if (depth < 0) break;
  }
  if (depth !== 0) throw new Error(`Route "${template}": its braces do not match.`);
  if (text) parts.push(text);
  return parts;
}

function compileParameter(parameter: Parameter): RouteSegment {
  const { checks, catchAll, optional, defaultValue } = parameter;
  return {
    kind: 'pattern',
    shape: `${catchAll ? '*' : ''}${[...parameter.constraints].sort().join(':')}`,
    names: [parameter.name],
    rank: catchAll ? (checks.length ? 4 : 5) : checks.length ? 2 : 3,
    optional: optional || defaultValue !== undefined,
    defaultValue,
    catchAll,
    match: (text) => (text !== '' && checks.every((check) => check(text)) ? [text] : undefined),
  };
}

function compileMixed(parts: readonly Part[], template: string): RouteSegment {
  const parameters = parts.filter((part) => typeof part !== 'string');
  if (parameters.some((part) => part.catchAll || part.optional || part.defaultValue !== undefined)) {
    throw new Error(
      `Route "${template}": a parameter beside other text cannot be optional or take the rest.`,
    );
  }
  const source = parts
    .map((part) => (typeof part === 'string' ? part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&') : '(.+)'))
    .join('');
  const pattern = new RegExp(`^${source}$`, 'is');
  return {
    kind: 'pattern',
    shape: parts
      .map((part) => (typeof part === 'string' ? part.toLowerCase() : `{${part.constraints.join(':')}}`))
      .join(''),
    names: parameters.map((part) => part.name),
    rank: 2,
    optional: false,
    defaultValue: undefined,
    catchAll: false,
    match(text) {
      const values = pattern.exec(text)?.slice(1);
      return values &&
        parameters.every((part, index) => part.checks.every((check) => check(values[index] ?? '')))
        ? values
        : undefined;
    },
  };
}

/**
 * Compiles an ASP.NET route template as Azure's host does: literals, `{name}`, `{name?}`, `{name=default}`, `{*rest}`,
 * constraints (`{id:int:min(1)}`), and text around parameters.
 *
 * @throws when the template is malformed or names an unknown constraint.
 */
export function parseRouteTemplate(template: string): RouteSegment[] {
  const segments = splitOutside(template, '/').filter((segment) => segment !== '');
  const compiled = segments.map((segment): RouteSegment => {
    const parts = parseParts(segment, template);
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) {
      return typeof only === 'string' ? { kind: 'literal', key: only.toLowerCase() } : compileParameter(only);
    }
    return compileMixed(parts, template);
  });
  compiled.forEach((segment, index) => {
    if (segment.kind === 'pattern' && segment.catchAll && index < compiled.length - 1) {
      throw new Error(`Route "${template}": only its last segment can take the rest of the path.`);
    }
  });
  const names = compiled.flatMap((segment) => (segment.kind === 'pattern' ? segment.names : []));
  const double = names.find(
    (name, index) => names.findIndex((n) => n.toLowerCase() === name.toLowerCase()) < index,
  );
  if (double !== undefined) throw new Error(`Route "${template}": the parameter "${double}" occurs twice.`);
  return compiled;
}
