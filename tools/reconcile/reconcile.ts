import { setTimeout as delay } from 'node:timers/promises';
import type { Services } from '../../functions/services.ts';
import { listAllTenants } from '../../shared/domains/tenancy/list-tenants.ts';
import { tenantsWithBlobs } from '../../shared/domains/records/blobs/compare-blobs.ts';
import { QUEUES } from '../../shared/platform/bus/queues.ts';
import type { DatabaseName } from '../../shared/platform/call/call.ts';
import { DAY_MS } from '../../shared/platform/time/clock.ts';
import { countOutbox } from '../../shared/platform/writes/outbox.ts';
import { compareActs, noteRestore } from './compare-acts.ts';
import { compareErased, compareErasedPeople } from './compare-erased.ts';
import { compareBilling } from './compare-billing.ts';
import { compareTenantBlobs } from './compare-blobs.ts';
import { compareTenantRollUps } from './compare-roll-ups.ts';
import { compareWrites } from './compare-writes.ts';
import { Findings, type Finding } from './findings.ts';
import type { Moments, Scope } from './scope.ts';

/** What is compared, and whether it is mended. */
export interface ReconcileOptions {
  readonly moments: Moments;
  /** Default: a day before the earliest moment. A message can wait that long. */
  readonly since?: Date;
  /** When the last client was shut out. Default: now. */
  readonly until?: Date;
  readonly mend: boolean;
  /** How long the queues may take to get empty. */
  readonly waitMs: number;
  /** Called with what is being done. */
  readonly onStep?: (step: string) => void;
}

/** The result of a comparison. */
export interface ReconcileReport {
  readonly at: string;
  readonly moments: Readonly<Record<string, string>>;
  readonly since: string;
  readonly until: string;
  readonly mend: boolean;
  readonly tenants: number;
  readonly findings: readonly Finding[];
}

const DATABASES: readonly DatabaseName[] = ['core', 'billing', 'analytics'];
/** More than these are not counted: the number is then this. */
const COUNTED_MAX = 250;
/** Each pass finds less. What is left then, the next run finds. */
const PASSES_MAX = 3;
const POLL_MS = 250;
/** The event's consumer commits before its message is gone, and its own events are published right after that. */
const QUIET_POLLS = 3;

/**
 * Compares the three databases with each other, with the blobs and with Stripe, after some of them were restored. With `mend` it also
 * brings right what a program can. Everything that it publishes has the identity that it had before, so it may run while messages
 * are on their way, be interrupted, and run again.
 * @throws what a store throws that is unavailable.
 */
export async function reconcile(services: Services, options: ReconcileOptions): Promise<ReconcileReport> {
  const { moments, mend, onStep } = options;
  const now = services.clock.now();
  const times = Object.values(moments).map((moment) => moment.getTime());
  const begun = {
    services,
    findings: new Findings(),
    moments,
    since: options.since ?? new Date(Math.min(...times) - DAY_MS),
    until: options.until ?? now,
    now,
    mend,
    waitUntilQuiet: () => waitUntilQuiet(services, options.waitMs),
  };
  onStep?.('erased tenants');
  await compareErased(begun, await listAllTenants(services.crossTenant.core));
  const tenants = await listAllTenants(services.crossTenant.core);
  const scope: Scope = {
    ...begun,
    erased: new Set(tenants.filter(({ status }) => status === 'erased').map(({ tenant_id }) => tenant_id)),
    tenants: tenants
      .filter(({ status }) => status !== 'erased')
      .map(({ tenant_id: tenantId, plan_id: planId }) => ({ tenantId, planId })),
  };
  onStep?.('erased persons');
  await compareErasedPeople(scope);
  onStep?.('queues and outboxes');
  await compareBacklog(scope);
  onStep?.('acts of people');
  await compareActs(scope);
  onStep?.('Stripe, plans and meters');
  await compareBilling(scope);
  onStep?.('writes, usage, audit trail');
  for (const { tenantId } of scope.tenants) await compareWrites(scope, tenantId);
  onStep?.('blobs');
  await compareAllBlobs(scope);
  onStep?.('the entry of the restore');
  await noteRestore(scope);
  onStep?.('empty queues, then roll-ups');
  const isQuiet = mend && (await mendRest(scope));
  for (const { tenantId } of scope.tenants) await compareTenantRollUps(scope, tenantId, isQuiet);
  return {
    at: now.toISOString(),
    moments: Object.fromEntries(Object.entries(moments).map(([name, at]) => [name, at.toISOString()])),
    since: scope.since.toISOString(),
    until: scope.until.toISOString(),
    mend,
    tenants: scope.tenants.length,
    findings: scope.findings.list(),
  };
}

/**
 * Compares writes again once the queues are empty. Records that were archived again have published their events as always, and the
 * broker drops a message that it has seen within ten minutes. Returns whether the queues are empty at the end.
 */
async function mendRest(scope: Scope): Promise<boolean> {
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    if (!(await scope.waitUntilQuiet())) return false;
    const findings = new Findings();
    for (const { tenantId } of scope.tenants) await compareWrites({ ...scope, findings }, tenantId);
    const rest = findings.list().filter(({ mended }) => mended);
    if (rest.length === 0) return true;
    for (const { kind, tenantId, count, items, amounts = {} } of rest)
      scope.findings.add(kind, tenantId, items, { mended: true, count, amounts });
  }
  return scope.waitUntilQuiet();
}

async function compareBacklog({ services, findings }: Scope): Promise<void> {
  for (const { name } of QUEUES) {
    const [waiting = 0, dead = 0] = await Promise.all(
      [false, true].map(async (dead) => (await services.bus.peek(name, { dead, limit: COUNTED_MAX })).length),
    );
    findings.add('messages_waiting', null, waiting === 0 ? [] : [{ queue: name, waiting }], {
      count: waiting,
    });
    findings.add('dead_letters', null, dead === 0 ? [] : [{ queue: name, dead }], { count: dead });
  }
  for (const database of DATABASES) {
    const rows = await countOutbox(services.crossTenant[database]);
    findings.add('outbox_waiting', null, rows === 0 ? [] : [{ database, rows }], { count: rows });
  }
}

async function compareAllBlobs(scope: Scope): Promise<void> {
  const own = new Set(scope.tenants.map(({ tenantId }) => tenantId));
  for (const tenantId of await tenantsWithBlobs(scope.services.blobs))
    if (own.has(tenantId)) await compareTenantBlobs(scope, tenantId);
    else if (!scope.erased.has(tenantId)) scope.findings.add('tenant_ahead', tenantId, [{ store: 'blobs' }]);
}

async function waitUntilQuiet(services: Services, waitMs: number): Promise<boolean> {
  await services.publisher.drain();
  const deadline = performance.now() + waitMs;
  let quiet = 0;
  while (quiet < QUIET_POLLS) {
    const counts = await Promise.all([
      ...QUEUES.map(async ({ name }) => (await services.bus.peek(name, { dead: false, limit: 1 })).length),
      ...DATABASES.map((database) => countOutbox(services.crossTenant[database])),
    ]);
    quiet = counts.every((count) => count === 0) ? quiet + 1 : 0;
    if (performance.now() > deadline) return false;
    if (quiet < QUIET_POLLS) await delay(POLL_MS);
  }
  return true;
}
