import type { ServiceBusClient } from '@azure/service-bus';
import { QUEUES, type QueueDefinition } from '../../../shared/platform/bus/queues.ts';
import { count, names, notChecked, ok, problem, warning, type Check, type Finding } from '../check.ts';
import { describeError } from '../describe-error.ts';
import type { Patient } from '../patient.ts';
import { busFaultOf, namespaceHost, withBus } from './open-bus.ts';

const MINUTE_MS = 60_000;

/** The command that makes a queue as the code declares it. */
function createCommand(patient: Patient, queue: QueueDefinition): string {
  if (patient.isLocal) return 'npm start, whose broker has every queue';
  const namespace = namespaceHost(patient).split('.')[0] ?? '';
  const duplicates =
    queue.duplicateDetectionWindowMs === null
      ? ''
      : ` --enable-duplicate-detection true --duplicate-detection-history-time-window PT${queue.duplicateDetectionWindowMs / MINUTE_MS}M`;
  return `az servicebus queue create --resource-group ${patient.resourceGroup} --namespace-name ${namespace} --name ${queue.name} --lock-duration PT${queue.lockDurationMs / MINUTE_MS}M --max-delivery-count ${queue.maxDeliveryCount}${duplicates}`;
}

function grant(patient: Patient, right: 'Sender' | 'Receiver'): string {
  return patient.setting('SERVICE_BUS_CONNECTION') === undefined
    ? `az role assignment create --role "Azure Service Bus Data ${right}" --assignee <identity> --scope $(az servicebus namespace show --resource-group ${patient.resourceGroup} --name ${namespaceHost(patient).split('.')[0] ?? ''} --query id -o tsv)`
    : 'correct the key in SERVICE_BUS_CONNECTION; its policy needs Send and Listen';
}

type Outcome = {
  readonly queue: QueueDefinition;
  readonly error?: unknown;
  readonly right?: 'Sender' | 'Receiver';
};

/** Attaches as a receiver, and as a sender: a batch cannot be made before the broker has said how large a message may be. */
async function attach(client: ServiceBusClient, queue: QueueDefinition): Promise<Outcome> {
  const receiver = client.createReceiver(queue.name);
  try {
    await receiver.peekMessages(1);
  } catch (error) {
    return { queue, error, right: 'Receiver' };
  }
  try {
    await client.createSender(queue.name).createMessageBatch();
  } catch (error) {
    return { queue, error, right: 'Sender' };
  }
  return { queue };
}

/** Whether each queue of the code exists, and may be sent to and received from. Sends and takes no message. */
export const queues: Check = {
  name: 'queues',
  group: 'service bus',
  looksAt: 'whether each queue of the code exists, and may be peeked into and sent to, without a message',
  run: (patient) =>
    withBus(patient, async (client) => {
      const host = namespaceHost(patient);
      const outcomes = await Promise.all(QUEUES.map((queue) => attach(client, queue)));
      const findings: Finding[] = [];
      const away: Outcome[] = [];
      for (const outcome of outcomes) {
        const { queue, error, right = 'Receiver' } = outcome;
        if (error === undefined) continue;
        const fault = busFaultOf(error);
        if (fault === 'missing')
          findings.push(problem(`${queue.name} is missing`, createCommand(patient, queue)));
        else if (fault === 'refused')
          findings.push(
            problem(
              `${queue.name}: ${right === 'Sender' ? 'sending' : 'receiving'} is refused: ${describeError(error)}`,
              grant(patient, right),
            ),
          );
        else away.push(outcome);
      }
      const [first] = away;
      if (first !== undefined)
        findings.push(
          problem(
            `${host} does not answer for ${names(away.map(({ queue }) => queue.name))}: ${describeError(first.error)}`,
            patient.isLocal
              ? 'npm start'
              : `az servicebus namespace show --resource-group ${patient.resourceGroup} --name ${host.split('.')[0] ?? ''} --query status; then private endpoint, DNS and port 5671 of ${host}`,
          ),
        );
      return findings.length > 0
        ? findings
        : ok(`${host}: ${names(QUEUES.map(({ name }) => name))} can be sent to and received from`);
    }),
};

/** So many are counted; more are "or more". */
const PEEKED = 100;

/** What failed ten times in a row, in each queue. */
export const deadLetters: Check = {
  name: 'dead-letters',
  group: 'service bus',
  looksAt: 'how many messages are in the dead-letter queues',
  run: (patient) =>
    withBus(patient, async (client) => {
      const counted = await Promise.all(
        QUEUES.map(async ({ name }) => {
          try {
            const receiver = client.createReceiver(name, { subQueueType: 'deadLetter' });
            return { name, dead: (await receiver.peekMessages(PEEKED)).length };
          } catch {
            return { name, dead: undefined };
          }
        }),
      );
      const unseen = counted.filter(({ dead }) => dead === undefined).map(({ name }) => name);
      const findings = counted.flatMap(({ name, dead = 0 }): Finding[] =>
        dead === 0
          ? []
          : [
              warning(
                dead === PEEKED
                  ? `${name}: ${dead} dead letters or more`
                  : `${name}: ${count(dead, 'dead letter')}`,
                `when the cause is mended, resubmit them (Service Bus Explorer → ${name} → Dead-letter), see docs/runbooks/dead-letters.md`,
              ),
            ],
      );
      if (unseen.length > 0)
        findings.push(notChecked(`${names(unseen)}: the dead letters cannot be seen, see queues`));
      return findings.length > 0 ? findings : ok('none');
    }),
};
