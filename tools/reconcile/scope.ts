import { randomUUID } from 'node:crypto';
import type { Services } from '../../functions/services.ts';
import type { DatabaseName } from '../../shared/platform/call/call.ts';
import { queueOf, type CloudEvent } from '../../shared/platform/bus/events.ts';
import { packEvents } from '../../shared/platform/bus/pack-events.ts';
import type { Findings } from './findings.ts';

/** Who mends, in the audit trail. */
export const ACTOR = 'tool:reconcile';

/** The moments to which databases were restored. A database that was not restored has none. */
export type Moments = Readonly<Partial<Record<DatabaseName, Date>>>;

/** What every comparison uses. */
export interface Scope {
  readonly services: Services;
  readonly findings: Findings;
  readonly moments: Moments;
  /** Rows and events of this time and later are compared. */
  readonly since: Date;
  /** When the last client was shut out. Later usage is not of lost writes. */
  readonly until: Date;
  readonly now: Date;
  readonly mend: boolean;
  /** Waits until no message and no outbox row is left. False if that takes too long: then something does not run. */
  readonly waitUntilQuiet: () => Promise<boolean>;
  /** The erased tenants that core has. What stays of them is in their erasure's report. */
  readonly erased: ReadonlySet<string>;
  /** The tenants that core has, without erased ones. */
  readonly tenants: readonly { readonly tenantId: string; readonly planId: string }[];
}

/**
 * Publishes events again. Their messages have new ids: the broker would drop a message that it has seen within ten minutes, and a
 * restored consumer has forgotten what it did with that. No outbox is needed: a later run finds what a dead one did not send.
 */
export async function emit({ services }: Scope, events: readonly CloudEvent[]): Promise<void> {
  const byQueue = new Map<string, CloudEvent[]>();
  for (const event of events) {
    const queue = queueOf(event.type);
    if (queue === undefined) throw new Error(`no queue takes events of type ${event.type}`);
    byQueue.set(queue, [...(byQueue.get(queue) ?? []), event]);
  }
  for (const [queue, some] of byQueue)
    await services.bus.send(
      queue,
      packEvents(some).map(({ message }) => ({ ...message, messageId: randomUUID() })),
    );
}
