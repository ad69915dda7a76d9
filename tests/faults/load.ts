import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Answer, HttpClient } from './client.ts';
import { isDone, type Attempt, type Ledger, type Write, type WriteKind } from './ledger.ts';
import type { Random } from './random.ts';
import { analysisBody, mapperResponse, mappingBody, orchestrationBody } from './traffic.ts';

/** A tenant of the load. */
export interface LoadTenant {
  readonly tenantId: string;
  readonly key: string;
  /** On a free plan: its usage is reserved. */
  readonly free: boolean;
}

/** Options of a load. */
export interface LoadOptions {
  readonly client: HttpClient;
  readonly tenants: readonly [LoadTenant, ...LoadTenant[]];
  readonly ledger: Ledger;
  readonly random: Random;
  /** New writes a second, without retries. */
  readonly perSecond: number;
}

const TICK_MS = 10;
/** More requests at once would only measure the client's own queue. */
const IN_FLIGHT_MAX = 600;
const BATCH_ITEMS = 5;
/** How long after the end of the load a repeatable write may need for its 2xx. */
const LAST_ANSWER_MS = 20_000;

/** A request that is sent once, or repeated until it is done. */
interface Sending {
  readonly tenant: LoadTenant;
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
  readonly writes: readonly Write[];
}

/** A steady load of writes that continues until it is stopped, with any answers. */
export class Load {
  readonly #options: LoadOptions;
  readonly #begun = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #running = new Set<Promise<void>>();
  readonly #prefix = randomUUID().slice(0, 8);
  #sent = 0;
  #number = 0;
  #stoppedAt: number | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Starts no new writes. Resolves when all are answered or given up. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stoppedAt = performance.now();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #tick(): void {
    const due = ((performance.now() - this.#begun) / 1000) * this.#options.perSecond;
    while (this.#sent < due) {
      this.#sent += 1;
      if (this.#running.size < IN_FLIGHT_MAX) this.#track(this.#deliver(this.#choose()));
    }
  }

  #track(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work)).catch(() => undefined); // `stop` rejects with it
  }

  #choose(): Sending {
    const { random, tenants } = this.#options;
    const tenant = random.pick(tenants);
    const chance = random.next();
    const keyed = random.next() < 0.5;
    if (chance < 0.45) return this.#single(tenant, 'mapping', keyed);
    if (chance < 0.6) return this.#single(tenant, 'pending_mapping', keyed);
    if (chance < 0.78) return this.#single(tenant, 'orchestration', keyed);
    if (chance < 0.94) return this.#single(tenant, 'analysis', keyed);
    return this.#batch(tenant, keyed);
  }

  /** `repeatable`: whether it is sent until it is done. A batch's key makes writes without their own key repeatable. */
  #write(tenant: LoadTenant, kind: WriteKind, keyed: boolean, repeatable = keyed): Write {
    const marker = `${this.#prefix}-${++this.#number}`;
    const key = keyed ? `key-${marker}` : null;
    const write = { marker, tenantId: tenant.tenantId, kind, idempotencyKey: key, repeatable };
    this.#options.ledger.writes.push(write);
    return write;
  }

  #single(tenant: LoadTenant, kind: Exclude<WriteKind, 'completion'>, keyed: boolean): Sending {
    const write = this.#write(tenant, kind, keyed);
    const headers = write.idempotencyKey === null ? {} : { 'idempotency-key': write.idempotencyKey };
    const common = { tenant, method: 'POST' as const, headers, writes: [write] };
    const { random } = this.#options;
    switch (kind) {
      case 'mapping':
      case 'pending_mapping':
        return {
          ...common,
          path: '/api/v1/mappings',
          body: mappingBody(write.marker, random, kind === 'mapping'),
        };
      case 'orchestration':
        return { ...common, path: '/api/v1/orchestrations', body: orchestrationBody(write.marker, random) };
      case 'analysis':
        return { ...common, path: '/api/v1/analyses', body: analysisBody(write.marker, random) };
      default:
        return kind satisfies never;
    }
  }

  #batch(tenant: LoadTenant, keyed: boolean): Sending {
    const whole = keyed && this.#options.random.next() < 0.5;
    const writes = Array.from({ length: BATCH_ITEMS }, () =>
      this.#write(tenant, 'mapping', keyed && !whole, keyed),
    );
    const items = writes.map((write) => ({
      ...mappingBody(write.marker, this.#options.random, true),
      ...(write.idempotencyKey === null ? {} : { idempotency_key: write.idempotencyKey }),
    }));
    const headers: Record<string, string> = whole ? { 'idempotency-key': `batch-${writes[0]?.marker}` } : {};
    return { tenant, method: 'POST', path: '/api/v1/mappings/batch', body: { items }, headers, writes };
  }

  /** Sends a request. If it is repeatable, sends it until it is done. */
  async #deliver(sending: Sending): Promise<void> {
    const { random } = this.#options;
    for (;;) {
      const attempt = await this.#attempt(sending);
      const statuses = attempt.itemStatuses.length > 0 ? attempt.itemStatuses : [attempt.status];
      if (statuses.every(isDone)) {
        this.#follow(sending);
        return;
      }
      const mayPass = statuses.every((status) => isDone(status) || isPassing(status));
      if (!mayPass || !sending.writes.every((write) => write.repeatable)) return;
      if (this.#stoppedAt !== undefined && performance.now() > this.#stoppedAt + LAST_ANSWER_MS) return;
      await delay(random.between(100, 700));
    }
  }

  /** Sends the response of a pending mapping. */
  #follow({ tenant, writes }: Sending): void {
    for (const { kind, requestId } of writes) {
      if (kind !== 'pending_mapping' || requestId === undefined || this.#options.random.next() < 0.3)
        continue;
      const write: Write = {
        marker: requestId,
        tenantId: tenant.tenantId,
        kind: 'completion',
        idempotencyKey: null,
        repeatable: true,
      };
      this.#options.ledger.writes.push(write);
      const path = `/api/v1/mappings/${requestId}/response`;
      const sending = {
        tenant,
        method: 'PUT' as const,
        path,
        body: mapperResponse(),
        headers: {},
        writes: [write],
      };
      this.#track(this.#deliver(sending));
    }
  }

  async #attempt(sending: Sending): Promise<Attempt> {
    const { client, ledger } = this.#options;
    const { method, path, headers, body, writes } = sending;
    const sentAt = performance.now();
    const entry = (answer: Answer | undefined, code: string | null): Attempt => ({
      writes,
      what: `${method} ${path} of ${sending.tenant.tenantId} (${writes.map((write) => write.marker).join(' ')})`,
      sentAt,
      tookMs: performance.now() - sentAt,
      status: answer?.status ?? null,
      retryAfter: textOf(answer?.headers['retry-after']),
      replayed: answer?.headers['idempotency-replayed'] === 'true',
      itemStatuses:
        answer?.status === 207 ? answer.body.items.map((item: { status: number }) => item.status) : [],
      code,
    });
    let attempt: Attempt;
    try {
      const answer = await client.ask({ method, path, key: sending.tenant.key, headers, body });
      attempt = entry(answer, answer.status >= 400 ? String(answer.body?.code) : null);
      keepIds(writes, answer);
    } catch (error) {
      attempt = entry(undefined, codeOf(error));
    }
    ledger.attempts.push(attempt);
    return attempt;
  }
}

function keepIds(writes: readonly Write[], answer: Answer): void {
  const bodies = answer.status === 207 ? answer.body.items : [answer.body];
  writes.forEach((write, n) => {
    const body = bodies[n];
    if (!isDone(answer.status === 207 ? body.status : answer.status)) return;
    // Each answer to the same write must have the same ids. The first one counts.
    if (write.requestId !== undefined && write.requestId !== body.request_id)
      throw new Error(
        `${write.marker} was answered with ${write.requestId} and with ${String(body.request_id)}`,
      );
    write.requestId = body.request_id;
    if (body.record_id !== undefined) write.recordId = body.record_id;
  });
}

/** No answer, an unavailable dependency, or a retry that came before the first request had ended. */
function isPassing(status: number | null): boolean {
  return status === null || status >= 500 || status === 409;
}

function textOf(header: string | string[] | undefined): string | null {
  return typeof header === 'string' ? header : null;
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
