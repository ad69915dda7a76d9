import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Link,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import type { ActiveSpan, SpanOptions, Tracing } from './tracing.ts';

// How OpenTelemetry makes the spans of `tracing.ts`. Loaded late, with the SDK.

/** The SDK keeps this many links of a span and drops the rest. */
const LINKS_MAX = 128;

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

/** Makes spans with a tracer. A context manager must be registered. */
export function tracingWith(tracer: Tracer): Tracing {
  return {
    async run<T>(name: string, options: SpanOptions, work: (span: ActiveSpan) => Promise<T>): Promise<T> {
      const parent = contextOf(options);
      const { kind = 'internal', attributes = {}, causes = [], links = [] } = options;
      const span = tracer.startSpan(
        name,
        { kind: KINDS[kind], attributes: { ...attributes }, links: linksTo([...causes, ...links]) },
        parent,
      );
      try {
        return await context.with(trace.setSpan(parent, span), work, undefined, activeOf(span));
      } catch (error) {
        // Without the message: it may quote content.
        span.setStatus({ code: SpanStatusCode.ERROR });
        span.setAttribute('error.type', errorType(error));
        throw error;
      } finally {
        span.end();
      }
    },
    active: () => trace.getSpan(context.active())?.spanContext(),
    below: (parent, work) =>
      context.with(parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent), work),
  };
}

function activeOf(span: Span): ActiveSpan {
  return {
    context: span.spanContext(),
    set: (attribute, value) => void span.setAttribute(attribute, value),
    fail: () => void span.setStatus({ code: SpanStatusCode.ERROR }),
    link: (to) => void span.addLinks(linksTo(to)),
  };
}

function contextOf({ parent, isRoot, causes }: SpanOptions): Context {
  if (parent !== undefined) return trace.setSpanContext(ROOT_CONTEXT, parent);
  if (isRoot === true) return ROOT_CONTEXT;
  if (causes === undefined) return context.active();
  const [first] = causes;
  const isOneTrace = first !== undefined && causes.every(({ traceId }) => traceId === first.traceId);
  return isOneTrace ? trace.setSpanContext(ROOT_CONTEXT, first) : ROOT_CONTEXT;
}

function linksTo(contexts: readonly SpanContext[]): Link[] {
  const distinct = new Map(contexts.map((one) => [one.spanId, one]));
  return [...distinct.values()].slice(0, LINKS_MAX).map((one) => ({ context: one }));
}

/** An error's code or class. */
function errorType(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const code: unknown = Reflect.get(error, 'code');
  return typeof code === 'string' && /^[A-Za-z0-9_]{1,40}$/.test(code) ? code : error.constructor.name;
}
