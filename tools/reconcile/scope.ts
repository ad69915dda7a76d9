import type { Services } from '../../functions/services.ts';
import type { DatabaseName, OutboxEntry } from '../../shared/platform/call/call.ts';
import type { CloudEvent } from '../../shared/platform/bus/events.ts';
import { addToOutbox, newEntry } from '../../shared/platform/writes/outbox.ts';
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
  /** The tenants that core has, without erased ones. */
  readonly tenants: readonly { readonly tenantId: string; readonly planId: string }[];
}

/** Events of one outbox row: about as many as fit into a message. */
const EVENTS_A_ROW = 50;

/** Writes events of a tenant to core's outbox and publishes them, as a write does. */
export async function emit(
  { services, now }: Scope,
  tenantId: string,
  events: readonly CloudEvent[],
): Promise<void> {
  const entries: OutboxEntry[] = [];
  for (let from = 0; from < events.length; from += EVENTS_A_ROW)
    entries.push(newEntry('core', tenantId, events.slice(from, from + EVENTS_A_ROW), now));
  await addToOutbox(services.crossTenant.core, entries);
  for (const entry of entries) services.publisher.publish(entry);
}
