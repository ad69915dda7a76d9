import type { ServiceBusClient } from '@azure/service-bus';
import { connectBus } from '../../../shared/platform/bus/bus-sender.ts';
import { codeOf } from '../describe-error.ts';
import type { Patient } from '../patient.ts';

/** The namespace's host name. @throws NotChecked without its setting. */
export function namespaceHost(patient: Patient): string {
  patient.needOne('SERVICE_BUS_CONNECTION__fullyQualifiedNamespace', 'SERVICE_BUS_CONNECTION');
  const connection = patient.setting('SERVICE_BUS_CONNECTION');
  if (connection === undefined) return patient.need('SERVICE_BUS_CONNECTION__fullyQualifiedNamespace');
  return /(?:^|;)\s*endpoint=sb:\/\/([^/;]+)/i.exec(connection)?.[1] ?? '';
}

/** Runs `work` on a connection of its own to the namespace, as the app connects. */
export async function withBus<T>(
  patient: Patient,
  work: (client: ServiceBusClient) => Promise<T>,
): Promise<T> {
  namespaceHost(patient);
  const client = await connectBus(patient.services.settings);
  try {
    return await work(client);
  } finally {
    // A broker that does not answer may not confirm the close either, and nobody waits for that.
    client.close().catch(() => undefined);
  }
}

/** Why a queue cannot be used. */
export type BusFault = 'missing' | 'refused' | 'away';

/** Reads an error of the SDK. */
export function busFaultOf(error: unknown): BusFault {
  switch (codeOf(error)) {
    case 'MessagingEntityNotFound':
      return 'missing';
    case 'UnauthorizedAccess':
      return 'refused';
    case undefined:
    default:
      return 'away';
  }
}
