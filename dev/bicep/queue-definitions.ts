import { QUEUES, type QueueDefinition } from '../../shared/platform/bus/queues.ts';

/** Service Bus has no "without a limit": this is its longest time to live. */
const LONGEST = 'P10675199DT2H48M5.4775807S';
/** Must be a valid time also where duplicate detection is off. */
const ANY_WINDOW_MS = 10 * 60_000;

/** A queue as `bicep/modules/service-bus.bicep` reads it: times in ISO 8601. */
export interface DeployedQueue {
  readonly name: string;
  readonly maxDeliveryCount: number;
  readonly lockDuration: string;
  readonly requiresDuplicateDetection: boolean;
  readonly duplicateDetectionHistoryTimeWindow: string;
  readonly defaultMessageTimeToLive: string;
  /** False where a message is worthless after its time: the dead-letter queue would keep it, and the tokens in it. */
  readonly deadLetteringOnMessageExpiration: boolean;
}

/** As Azure writes it, so that a comparison of template and resource shows no difference. */
function duration(ms: number): string {
  return ms % 60_000 === 0 ? `PT${ms / 60_000}M` : `PT${ms / 1000}S`;
}

function deployed(queue: QueueDefinition): DeployedQueue {
  return {
    name: queue.name,
    maxDeliveryCount: queue.maxDeliveryCount,
    lockDuration: duration(queue.lockDurationMs),
    requiresDuplicateDetection: queue.duplicateDetectionWindowMs !== null,
    duplicateDetectionHistoryTimeWindow: duration(queue.duplicateDetectionWindowMs ?? ANY_WINDOW_MS),
    defaultMessageTimeToLive: queue.defaultTtlMs === null ? LONGEST : duration(queue.defaultTtlMs),
    deadLetteringOnMessageExpiration: queue.defaultTtlMs === null,
  };
}

/** All queues of the code, as the template deploys them. */
export function deployedQueues(): DeployedQueue[] {
  return QUEUES.map(deployed);
}
