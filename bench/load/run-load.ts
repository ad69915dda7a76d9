import { randomInt } from 'node:crypto';
import { LoadConnection } from './connection.ts';
import { Latencies } from './latencies.ts';
import type { LoadOrder, LoadResult } from './protocol.ts';

/** Digits of the number that makes each request different: first this process's, then the request's. */
const NUMBER_LENGTH = 18;
const PROCESS_DIGITS = String(randomInt(100_000, 1_000_000));
const REQUEST_DIGITS = NUMBER_LENGTH - PROCESS_DIGITS.length;

/** Returns a connection's next request. */
type NextRequest = () => Buffer;

function headOf(method: string, path: string, key: string, more: readonly string[]): string {
  const lines = [`${method} ${path} HTTP/1.1`, 'host: 127.0.0.1', `authorization: Bearer ${key}`];
  return [...lines, ...more, '', ''].join('\r\n');
}

type CreateRequest = Extract<LoadOrder['request'], { kind: 'create-mapping' }>;

/** A key's request, and the offsets of its numbers. */
interface Template {
  readonly bytes: Buffer;
  readonly offsets: readonly number[];
}

function templateOf(request: CreateRequest, key: string): Template {
  const zeros = '0'.repeat(NUMBER_LENGTH);
  const body = request.body.replaceAll(request.marker, zeros);
  const head = headOf('POST', request.path, key, [
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `idempotency-key: ${request.marker}-${zeros}`,
  ]);
  const bytes = Buffer.from(head + body);
  const offsets: number[] = [];
  for (let at = bytes.indexOf(zeros); at >= 0; at = bytes.indexOf(zeros, at + NUMBER_LENGTH))
    offsets.push(at);
  return { bytes, offsets };
}

/** The item of a list at `n` modulo its length. */
function nth<T>(list: readonly T[], n: number): T {
  const one = list[n % list.length];
  if (one === undefined) throw new Error('there is nothing to send');
  return one;
}

/**
 * Requests that create a mapping, each with its own idempotency key and source. A connection has one buffer for each API key
 * and only overwrites the numbers in it: building each request would cost more than sending it.
 */
function createRequests(request: CreateRequest, first: number): NextRequest {
  const templates = new Map<string, Template>();
  let number = first;
  return () => {
    number += 1;
    const key = nth(request.keys, number);
    let template = templates.get(key);
    if (template === undefined) {
      template = templateOf(request, key);
      templates.set(key, template);
    }
    const digits = PROCESS_DIGITS + String(number).padStart(REQUEST_DIGITS, '0');
    for (const at of template.offsets) template.bytes.write(digits, at, 'latin1');
    return template.bytes;
  };
}

function readRequests(
  { targets }: Extract<LoadOrder['request'], { kind: 'read' }>,
  first: number,
): NextRequest {
  const requests = targets.map(({ key, path, tenant }) =>
    Buffer.from(headOf('GET', path, key, tenant === undefined ? [] : [`x-tenant-id: ${tenant}`])),
  );
  let next = first;
  return () => {
    next += 1;
    return nth(requests, next);
  };
}

/** Numbers per connection: more than one connection ever sends. A prime, so that connections begin at different keys. */
const NUMBERS_EACH = 1_000_000_007;
let connectionsMade = 0;

function requestsOf(order: LoadOrder): NextRequest {
  const { request } = order;
  connectionsMade += 1;
  switch (request.kind) {
    case 'create-mapping':
      return createRequests(request, connectionsMade * NUMBERS_EACH);
    case 'read':
      return readRequests(request, connectionsMade * 7919);
    default:
      return request satisfies never;
  }
}

/** State that all connections of a run share. */
interface Run {
  readonly order: LoadOrder;
  readonly statuses: Record<string, number>;
  readonly latencies: Latencies;
  readonly startedAt: number;
  readonly endsAt: number;
  answers: number;
  lastAt: number;
}

/** Sends requests on one connection until the run's end; resolves after its last answer. */
function drive(run: Run, connectionNumber: number): Promise<void> {
  const { order } = run;
  const next = requestsOf(order);
  const gapMs = order.rate === undefined ? 0 : (order.connections * 1000) / order.rate;
  return new Promise((resolve, reject) => {
    let dueAt = run.startedAt + (gapMs * connectionNumber) / order.connections;
    let sentAt = 0;
    let connection: LoadConnection;
    const send = (): void => {
      const now = performance.now();
      // With a rate, the wait of a request that is late counts: it was due, and somebody waited for it. A timer may be early.
      sentAt = gapMs === 0 ? now : Math.min(now, dueAt);
      connection.send(next());
    };
    const onAnswer = (status: number): void => {
      const now = performance.now();
      run.answers += 1;
      run.lastAt = now;
      run.statuses[status] = (run.statuses[status] ?? 0) + 1;
      run.latencies.add(now - sentAt);
      if (gapMs > 0) dueAt += gapMs;
      if (Math.max(now, gapMs === 0 ? now : dueAt) >= run.endsAt) {
        connection.close();
        resolve();
      } else if (gapMs === 0 || dueAt <= now) send();
      else setTimeout(send, dueAt - now);
    };
    LoadConnection.open(nth(order.ports, connectionNumber), onAnswer, reject).then((opened) => {
      connection = opened;
      const wait = dueAt - performance.now();
      if (gapMs > 0 && wait > 0) setTimeout(send, wait);
      else send();
    }, reject);
  });
}

/** Runs an order to its end. Rejects when a connection is lost. */
export async function runLoad(order: LoadOrder): Promise<LoadResult> {
  const startedAt = performance.now();
  const endsAt = startedAt + order.seconds * 1000;
  const cpu = process.cpuUsage();
  const run: Run = {
    order,
    statuses: {},
    latencies: new Latencies(),
    startedAt,
    endsAt,
    answers: 0,
    lastAt: startedAt,
  };
  await Promise.all(
    Array.from({ length: order.connections }, (_, connectionNumber) => drive(run, connectionNumber)),
  );
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (run.lastAt - startedAt) / 1000;
  return {
    answers: run.answers,
    seconds,
    perSecond: run.answers / seconds,
    statuses: run.statuses,
    p50Ms: run.latencies.quantile(0.5),
    p99Ms: run.latencies.quantile(0.99),
    cpuSeconds: (user + system) / 1e6,
  };
}
