/** An error as Service Bus reports it: the AMQP condition that the SDK maps to its error codes, and the $management status. */
export class BrokerError extends Error {
  readonly condition: string;
  readonly status: number;

  constructor(condition: string, status: number, description: string) {
    super(description);
    this.name = 'BrokerError';
    this.condition = condition;
    this.status = status;
  }
}

/** The SDK's `MessageLockLost`. */
export function lockLost(): BrokerError {
  return new BrokerError(
    'com.microsoft:message-lock-lost',
    410,
    'The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue.',
  );
}

/** The SDK's `MessageNotFound`. */
export function messageNotFound(sequence: number): BrokerError {
  return new BrokerError(
    'com.microsoft:message-not-found',
    404,
    `No such message: sequence number ${String(sequence)} is not in the state that the operation needs.`,
  );
}

/** The SDK's `MessageSizeExceeded`. */
export function messageTooLarge(bytes: number, limitBytes: number): BrokerError {
  return new BrokerError(
    'amqp:link:message-size-exceeded',
    413,
    `The message is ${String(bytes)} bytes; the limit is ${String(limitBytes)}.`,
  );
}

/** The SDK's `MessagingEntityNotFound`. The SDK recognises it by this exact text. */
export function entityNotFound(address: string): BrokerError {
  return new BrokerError('amqp:not-found', 404, `The messaging entity '${address}' could not be found.`);
}

/** An operation that this kind of entity does not support. */
export function notAllowed(description: string): BrokerError {
  return new BrokerError('amqp:not-allowed', 400, description);
}

/** A malformed request. */
export function badRequest(description: string): BrokerError {
  return new BrokerError('amqp:decode-error', 400, description);
}
