import type { FunctionInfo, FunctionsHost } from './host.ts';

/** The headings in their order. Other triggers come last, with their type as the heading. */
const HEADINGS: ReadonlyMap<string, string> = new Map([
  ['httpTrigger', 'HTTP'],
  ['serviceBusTrigger', 'Service Bus'],
  ['timerTrigger', 'Timers'],
]);

function describeFunction(fn: FunctionInfo, port: number): string {
  const what =
    fn.route === undefined ? '' : `: [${fn.methods?.join(',') ?? ''}] http://127.0.0.1:${port}/${fn.route}`;
  return `  ${fn.name}${what}${fn.disabled ? ' (disabled)' : ''}`;
}

function groupByTrigger(functions: readonly FunctionInfo[]): [heading: string, group: FunctionInfo[]][] {
  const types = new Set([...HEADINGS.keys(), ...functions.map((fn) => fn.type)]);
  return [...types]
    .map((type): [string, FunctionInfo[]] => [
      HEADINGS.get(type) ?? type,
      functions.filter((fn) => fn.type === type),
    ])
    .filter(([, group]) => group.length > 0);
}

/** One line per function, under a heading for each kind of trigger. HTTP functions have their addresses. */
export function listFunctions({ functions, port }: Pick<FunctionsHost, 'functions' | 'port'>): string[] {
  return groupByTrigger(functions).flatMap(([heading, group]) => [
    `${heading}:`,
    ...group.map((fn) => describeFunction(fn, port)).sort(),
  ]);
}

/** The number of functions of each kind in one line, for example `12 functions (9 HTTP, 3 Timers, 1 disabled)`. */
export function countFunctions(functions: readonly FunctionInfo[]): string {
  const disabled = functions.filter((fn) => fn.disabled).length;
  const counts = groupByTrigger(functions).map(([heading, group]) => `${group.length} ${heading}`);
  return `${functions.length} functions (${[...counts, ...(disabled > 0 ? [`${disabled} disabled`] : [])].join(', ')})`;
}
