import type { SpanContext } from '@opentelemetry/api';

// Spans, as the app's code makes them. OpenTelemetry makes them in truth (`spans.ts`), once the exporter is loaded. Until then,
// and where there is none, a span costs one comparison. So the start of the app loads none of its code.

/** Which side of a connection a span is on. */
export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

/** A span that runs. */
export interface ActiveSpan {
  /** Undefined if there is no exporter. */
  readonly context: SpanContext | undefined;
  /** Adds an attribute: a name of the code, or a count. Never content, and no id of a tenant. */
  set(attribute: string, value: string | number): void;
  /** Marks it as failed. A throw does that too. */
  fail(): void;
  /** Links it to what caused it. */
  link(to: readonly SpanContext[]): void;
}

/** A span. Its name and attributes come from the code and never from a request: names of routes, tables, queues; counts. */
export interface SpanOptions {
  readonly kind?: SpanKind;
  readonly attributes?: Readonly<Record<string, string | number>>;
  /** Its parent, if that is not the present span. */
  readonly parent?: SpanContext | undefined;
  /** True if it begins a trace. */
  readonly isRoot?: boolean;
  /**
   * What caused it, if that is not the present span. Causes in one trace: the span is a child of the first. In several: it begins a
   * trace of its own. It is linked to all of them.
   */
  readonly causes?: readonly SpanContext[];
  /** Further spans to link to. */
  readonly links?: readonly SpanContext[];
}

/** What makes spans. */
export interface Tracing {
  run<T>(name: string, options: SpanOptions, work: (span: ActiveSpan) => Promise<T>): Promise<T>;
  /** The present span. */
  active(): SpanContext | undefined;
  /** Runs work below a span, or below none. */
  below<T>(parent: SpanContext | undefined, work: () => T): T;
}

let tracing: Tracing | undefined;

/** Begins to make spans; undefined ends it. */
export function useTracing(next: Tracing | undefined): void {
  tracing = next;
}

const NO_SPAN: ActiveSpan = {
  context: undefined,
  set: () => undefined,
  fail: () => undefined,
  link: () => undefined,
};

/** Runs work in a span. Without an exporter it only runs the work. @throws what the work throws. */
export function inSpan<T>(
  name: string,
  options: SpanOptions,
  work: (span: ActiveSpan) => Promise<T>,
): Promise<T> {
  return tracing === undefined ? work(NO_SPAN) : tracing.run(name, options, work);
}

/** Like {@link inSpan}, but only below a span that is exported. For statements and other parts of a larger work. */
export function inChildSpan<T>(
  name: string | (() => string),
  options: SpanOptions,
  work: (span: ActiveSpan) => Promise<T>,
): Promise<T> {
  if (tracing === undefined) return work(NO_SPAN);
  const above = options.parent ?? tracing.active();
  if (above === undefined || !isSampled(above)) return work(NO_SPAN);
  return tracing.run(typeof name === 'string' ? name : name(), options, work);
}

/** The present span, if it is exported: the cause of what happens now. */
export function activeSpan(): SpanContext | undefined {
  const found = tracing?.active();
  return found !== undefined && isSampled(found) ? found : undefined;
}

/** `traceparent` of the present span, if it is exported. An event carries it to its consumers. */
export function activeTraceparent(): string | undefined {
  const found = activeSpan();
  return found === undefined ? undefined : traceparentOf(found);
}

const SAMPLED = 1;

function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & SAMPLED) !== 0;
}

/** A span's context as W3C text. */
export function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Reads `traceparent`; undefined if it is none. Anyone may have written it. */
export function readTraceparent(text: unknown): SpanContext | undefined {
  const match = typeof text === 'string' ? TRACEPARENT.exec(text) : null;
  if (match === null) return undefined;
  const [, traceId = '', spanId = '', flags = ''] = match;
  return { traceId, spanId, traceFlags: parseInt(flags, 16) & SAMPLED, isRemote: true };
}

/** The exported spans that some `traceparent`s name. Empty without an exporter. */
export function causesOf(traceparents: Iterable<unknown>): SpanContext[] {
  if (tracing === undefined) return [];
  const causes: SpanContext[] = [];
  for (const text of traceparents) {
    const found = readTraceparent(text);
    if (found !== undefined && isSampled(found)) causes.push(found);
  }
  return causes;
}

/** Runs work outside of the present span: for what a request begins and does not wait for. */
export function detached<T>(work: () => T): T {
  return tracing === undefined ? work() : tracing.below(undefined, work);
}

/** Runs work as if the span of a `traceparent` had caused it. Without one, nothing changes. */
export function causedBy<T>(traceparent: string | undefined, work: () => T): T {
  const [cause] = causesOf([traceparent]);
  return cause === undefined || tracing === undefined ? work() : tracing.below(cause, work);
}
