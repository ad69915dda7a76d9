import type { Alert, Condition } from './alert.ts';

/** The attributes of a condition as pairs. */
export function pairsOf(
  where: Readonly<Record<string, readonly string[] | undefined>>,
): [string, readonly string[]][] {
  return Object.entries(where).flatMap(([attribute, values]) =>
    values === undefined ? [] : [[attribute, values] as [string, readonly string[]]],
  );
}

/** Names of attributes and their values are words of the code. So nothing has to be escaped, and a quotation mark is refused. */
function quoted(text: string): string {
  if (!/^[\w.-]+$/.test(text)) throw new Error(`not a name: ${text}`);
  return `"${text}"`;
}

function isOneOf(where: Readonly<Record<string, readonly string[] | undefined>>): string {
  const tests = pairsOf(where).map(
    ([attribute, values]) =>
      `tostring(Properties[${quoted(attribute)}]) in (${values.map(quoted).join(', ')})`,
  );
  return tests.length === 0 ? 'true' : tests.join(' and ');
}

/** One row for each instance and series: an instance in trouble must not be hidden by the sound ones. */
function levels(where: Readonly<Record<string, readonly string[] | undefined>>): string[] {
  return [
    `| where ${isOneOf(where)}`,
    '| summarize lowest = min(Min), highest = max(Max) by AppRoleInstance, series = tostring(Properties)',
  ];
}

function lines(condition: Condition): string[] {
  switch (condition.kind) {
    case 'share':
      return [
        `| summarize part = sumif(Sum, ${isOneOf(condition.where)}), whole = sum(Sum)`,
        `| where part >= ${condition.atLeast} and part > ${condition.above} * whole`,
      ];
    case 'increase':
      return [
        `| where ${isOneOf(condition.where)}`,
        '| summarize part = sum(Sum)',
        `| where part > ${condition.above}`,
      ];
    case 'level':
      return [
        ...levels(condition.where),
        'above' in condition.beyond
          ? `| where lowest > ${condition.beyond.above}`
          : `| where highest < ${condition.beyond.below}`,
      ];
    case 'limits': {
      const limits = Object.entries(condition.above).map(
        ([value, limit]) => `measured == ${quoted(value)}, ${limit}`,
      );
      return [
        `| extend measured = tostring(Properties[${quoted(condition.by)}])`,
        '| summarize lowest = min(Min) by AppRoleInstance, measured',
        `| extend most = case(${limits.join(', ')}, real(null))`,
        '| where lowest > most',
      ];
    }
    case 'missing':
      return ['| summarize measures = count()', '| where measures == 0'];
    default:
      return condition satisfies never;
  }
}

/**
 * The query of an alert over the workspace's table of metrics (`AppMetrics`, where counters arrive as increases). It returns
 * rows when the alert fires, and none when it does not. The rule sets the window.
 */
export function kqlOf({ condition }: Alert): string {
  return ['AppMetrics', `| where Name == ${quoted(condition.metric)}`, ...lines(condition)].join('\n');
}
