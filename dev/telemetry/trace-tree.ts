import type { KeptSpan } from './otlp.ts';

/** One line of a trace: a span, how deep it is, and whether it is in another trace and only linked to its place here. */
export interface TreeLine {
  readonly span: KeptSpan;
  readonly depth: number;
  readonly isLinked: boolean;
}

/**
 * A trace's spans as a tree, in the order of their start. What is linked to a span is below it, with everything that it led to in its
 * own trace: the batch of a queue, the statement that wrote several requests' rows. Each span is shown once.
 */
export function traceTree(spans: readonly KeptSpan[], traceId: string): TreeLine[] {
  const ordered = [...spans].sort((left, right) => left.start - right.start);
  const own = ordered.filter(({ trace }) => trace === traceId);
  const known = new Set(own.map(({ id }) => id));
  const shown = new Set<string>();
  const lines: TreeLine[] = [];
  const add = (span: KeptSpan, depth: number, isLinked: boolean): void => {
    if (shown.has(span.id)) return;
    shown.add(span.id);
    lines.push({ span, depth, isLinked });
    for (const child of ordered) {
      if (child.trace === span.trace && child.parent === span.id) add(child, depth + 1, false);
      else if (child.trace !== traceId && child.links.some(({ id }) => id === span.id))
        add(child, depth + 1, true);
    }
  };
  for (const span of own) if (span.parent === null || !known.has(span.parent)) add(span, 0, false);
  return lines;
}

const SHOWN: readonly string[] = [
  'db.namespace',
  'http.response.status_code',
  'error.type',
  'messaging.batch.message_count',
  'comply.blob.container',
  'comply.job.status',
];

/** The tree as text. */
export function printTrace(lines: readonly TreeLine[]): string {
  const [first] = lines;
  if (first === undefined) return '';
  return lines
    .map(({ span, depth, isLinked }) => {
      const at = (span.start - first.span.start).toFixed(1).padStart(9);
      const took = (span.end - span.start).toFixed(1).padStart(9);
      const details = SHOWN.flatMap((name) => {
        const value = span.attributes[name];
        return value === undefined ? [] : [value];
      });
      const mark = span.failed ? ' FAILED' : '';
      const link = isLinked ? `↳ [${span.trace.slice(0, 8)}] ` : '';
      return `${at} ms ${took} ms  ${'  '.repeat(depth)}${link}${span.name}${details.length === 0 ? '' : ` (${details.join(', ')})`}${mark}`;
    })
    .join('\n');
}
