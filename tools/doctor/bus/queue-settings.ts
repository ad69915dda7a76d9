import type { QueueProperties, ServiceBusAdministrationClient } from '@azure/service-bus';
import { QUEUES, type QueueDefinition } from '../../../shared/platform/bus/queues.ts';
import { notChecked, ok, problem, warning, type Check, type Finding } from '../check.ts';
import { describeError } from '../describe-error.ts';
import type { Patient } from '../patient.ts';
import { namespaceHost } from './open-bus.ts';

/** `PT5M`, `P1DT2H3M4.5S` in milliseconds. Service Bus uses no months and years. */
function durationMs(text: string | undefined): number | undefined {
  const parts = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(text ?? '');
  if (parts === null) return undefined;
  const [days, hours, minutes, seconds] = parts
    .slice(1)
    .map((part) => Number((part as string | undefined) ?? 0));
  return ((((days ?? 0) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000;
}

/** How a queue differs from the code's declaration. `update` is the start of the command that mends it. */
function judgeQueue(
  wanted: QueueDefinition,
  found: Pick<
    QueueProperties,
    | 'lockDuration'
    | 'maxDeliveryCount'
    | 'requiresDuplicateDetection'
    | 'duplicateDetectionHistoryTimeWindow'
    | 'defaultMessageTimeToLive'
    | 'status'
    | 'requiresSession'
  >,
  update: string,
): Finding[] {
  const { name } = wanted;
  const findings: Finding[] = [];
  const lockMs = durationMs(found.lockDuration);
  if (lockMs !== undefined && lockMs < wanted.lockDurationMs)
    findings.push(
      warning(
        `${name}: locks last ${lockMs / 1000} s instead of ${wanted.lockDurationMs / 1000}: a slow batch is delivered twice`,
        `${update} --lock-duration PT${wanted.lockDurationMs / 60_000}M`,
      ),
    );
  if (found.maxDeliveryCount < wanted.maxDeliveryCount)
    findings.push(
      warning(
        `${name}: ${found.maxDeliveryCount} deliveries instead of ${wanted.maxDeliveryCount}: a failover dead-letters messages`,
        `${update} --max-delivery-count ${wanted.maxDeliveryCount}`,
      ),
    );
  if (wanted.duplicateDetectionWindowMs !== null && !found.requiresDuplicateDetection)
    findings.push(
      warning(
        `${name}: no duplicate detection; only the consumers drop repeats`,
        `it cannot be turned on later: when ${name} is empty, delete it and make it again`,
      ),
    );
  const windowMs = durationMs(found.duplicateDetectionHistoryTimeWindow);
  if (
    found.requiresDuplicateDetection &&
    windowMs !== undefined &&
    windowMs < (wanted.duplicateDetectionWindowMs ?? 0)
  )
    findings.push(
      warning(
        `${name}: duplicates are remembered for ${windowMs / 1000} s only`,
        `${update} --duplicate-detection-history-time-window PT${(wanted.duplicateDetectionWindowMs ?? 0) / 60_000}M`,
      ),
    );
  if (found.requiresSession)
    findings.push(
      problem(
        `${name} needs sessions, which the app does not use`,
        `it cannot be turned off: delete ${name} and make it again`,
      ),
    );
  const ttlMs = durationMs(found.defaultMessageTimeToLive);
  // Without a limit, Service Bus says ten million days.
  if (wanted.defaultTtlMs === null && ttlMs !== undefined && ttlMs < 1000 * 24 * 3600 * 1000)
    findings.push(
      problem(
        `${name}: messages are lost after ${ttlMs / 3_600_000} h`,
        `${update} --default-message-time-to-live P10675199D`,
      ),
    );
  if (found.status !== 'Active')
    findings.push(problem(`${name} is ${found.status}`, `${update} --status Active`));
  return findings;
}

async function openAdministration(patient: Patient): Promise<ServiceBusAdministrationClient> {
  const { ServiceBusAdministrationClient: Client } = await import('@azure/service-bus');
  const connection = patient.setting('SERVICE_BUS_CONNECTION');
  const options = { retryOptions: { maxRetries: 0 } };
  if (connection !== undefined) return new Client(connection, options);
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new Client(namespaceHost(patient), new DefaultAzureCredential(), options);
}

/** Whether the queues are as the code declares them. The management API says it, if this identity may ask. */
export const queueSettings: Check = {
  name: 'queue-settings',
  group: 'service bus',
  looksAt: 'lock duration, deliveries, duplicate detection and time to live of each queue',
  async run(patient) {
    const host = namespaceHost(patient);
    if (patient.isLocal) return notChecked('a local broker has no management API');
    const client = await openAdministration(patient);
    const namespace = host.split('.')[0] ?? '';
    const findings = await Promise.all(
      QUEUES.map(async (queue): Promise<Finding[]> => {
        const update = `az servicebus queue update --resource-group ${patient.resourceGroup} --namespace-name ${namespace} --name ${queue.name}`;
        try {
          return judgeQueue(queue, await client.getQueue(queue.name), update);
        } catch (error) {
          return [
            notChecked(
              `${queue.name}: the management API does not say (it needs Manage): ${describeError(error)}`,
            ),
          ];
        }
      }),
    );
    return findings.flat().length > 0
      ? findings.flat()
      : ok('locks, deliveries, duplicate detection and time to live are as declared');
  },
};
