import { app, type HttpRequest, type InvocationContext } from '@azure/functions';
import { answer, answerPublic, answerUnrouted, UNROUTED } from '../shared/platform/http/answer.ts';
import type { Endpoint } from '../shared/platform/http/endpoint.ts';
import { methodsOf } from '../shared/platform/http/fallback.ts';
import { beginAhead } from '../shared/platform/call/begin-ahead.ts';
import type { QueueConsumer } from '../shared/platform/consume/consume.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import type { ScheduledJob } from '../shared/platform/jobs/scheduled-job.ts';
import { exportAfter, stopExport } from '../shared/platform/telemetry/export.ts';
import { declareValues } from '../shared/platform/telemetry/metrics.ts';
import { PROBLEM_CODES } from '../shared/platform/call/problem.ts';
import { NO_QUEUE } from '../shared/platform/writes/outbox-relay.ts';
import type { Services } from './services.ts';

/** The process's services, opened by the first invocation. */
export type OpenServices = () => Services;

/** @throws Error with a repeated name: of two functions with one name, one would silently hide the other. */
function requireDistinct(kind: string, names: readonly string[]): void {
  const repeated = names.find((name, n) => names.indexOf(name) !== n);
  if (repeated !== undefined) throw new Error(`two ${kind} are named ${repeated}`);
}

/**
 * Opens the services when the app has started, so that they connect before the first request comes. If their settings are
 * broken, the app starts all the same: then each request says which they are.
 */
export function openAtStart(services: OpenServices): void {
  app.hook.appStart(() => beginAhead(services));
}

/** Sends what was measured and not exported yet, when the host ends the process. */
export function registerTelemetry(): void {
  app.hook.appTerminate(() => stopExport());
}

/** Registers routes with Azure. The last route takes requests without a matching route: 404, or 405 with `Allow`. */
export function registerEndpoints(endpoints: readonly Endpoint[], services: OpenServices): void {
  requireDistinct(
    'endpoints',
    endpoints.map(({ name }) => name),
  );
  declareValues({
    route: [...endpoints.map(({ name }) => name), UNROUTED.name],
    code: [...Object.keys(PROBLEM_CODES), 'none'],
  });
  for (const endpoint of endpoints) {
    app.http(endpoint.name, {
      methods: methodsOf(endpoint),
      authLevel: 'anonymous',
      route: endpoint.path,
      handler: exportAfter(
        () => services().settings,
        (request: HttpRequest, context: InvocationContext) =>
          endpoint.permission === null
            ? answerPublic(endpoint, request, context.traceContext?.traceParent)
            : answer(services, endpoint, request, context.traceContext?.traceParent),
      ),
    });
  }
  app.http('requests-fallback', {
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'],
    authLevel: 'anonymous',
    route: '{*path}',
    handler: (request, context) => answerUnrouted(endpoints, request, context.traceContext?.traceParent),
  });
}

/** Registers queue consumers, each under the name `<queue>-consume`. */
export function registerConsumers(consumers: readonly QueueConsumer[], services: OpenServices): void {
  requireDistinct(
    'queues',
    consumers.map(({ queue }) => queue),
  );
  declareValues({ queue: [...consumers.map(({ queue }) => queue), NO_QUEUE] });
  for (const consumer of consumers) {
    const { queue } = consumer;
    const options = {
      connection: 'SERVICE_BUS_CONNECTION',
      queueName: queue,
      cardinality: 'many' as const,
      // Bodies as bytes: as text, invalid UTF-8 would be lost, and the host would leave empty texts out of a batch.
      dataType: 'binary',
      handler: exportAfter(
        () => services().settings,
        (messages: unknown, context: InvocationContext) =>
          consumer.consume(services(), messages, context.triggerMetadata),
      ),
    };
    app.serviceBusQueue(`${queue}-consume`, options);
  }
}

/**
 * Registers jobs with their timers. Two hosts may run a timer at once, and a run may be missed. The job's lock and watermark
 * make both safe, so neither `isPastDue` nor a run at start-up is needed.
 */
export function registerTimers(timers: readonly ScheduledJob[], services: OpenServices): void {
  requireDistinct(
    'jobs',
    timers.map(({ job }) => job.name),
  );
  declareValues({ job: timers.map(({ job }) => job.name) });
  for (const { job, schedule } of timers) {
    app.timer(job.name, {
      schedule,
      runOnStartup: false,
      handler: exportAfter(
        () => services().settings,
        async () => {
          await runJob(services(), job, { triggeredBy: 'timer' });
        },
      ),
    });
  }
}
