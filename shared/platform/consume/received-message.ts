/** A message from the host, with the properties that matter here. */
export interface ReceivedMessage {
  /** The original body. */
  readonly body: Buffer;
  /** The broker's message id; null if the host does not say which id belongs to which message. */
  readonly messageId: string | null;
  readonly contentType: string | null;
  /** Application properties. The host changes the first letter of their names to lower case. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/**
 * The messages of one invocation. Bodies are bytes, because the trigger asks for them. A body that is given by hand, or by a
 * host that ignores this setting, may be text or already parsed JSON.
 */
export function receivedMessages(
  messages: unknown,
  metadata: Readonly<Record<string, unknown>> = {},
): ReceivedMessage[] {
  const bodies = Array.isArray(messages) ? (messages as unknown[]) : [messages];
  const ids = aligned(metadata['messageIdArray'], bodies.length);
  const contentTypes = aligned(metadata['contentTypeArray'], bodies.length);
  const properties = aligned(metadata['applicationPropertiesArray'], bodies.length);
  return bodies.map((body, n) => ({
    body: bytesOf(body),
    messageId: textOf(ids[n]),
    contentType: textOf(contentTypes[n]),
    properties: isRecord(properties[n]) ? properties[n] : {},
  }));
}

/**
 * The host leaves empty texts out of its arrays. If an array is shorter than the batch, its values cannot be assigned to
 * messages.
 */
function aligned(values: unknown, length: number): readonly unknown[] {
  return Array.isArray(values) && values.length === length ? (values as unknown[]) : [];
}

function bytesOf(body: unknown): Buffer {
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (typeof body === 'string') return Buffer.from(body, 'utf8');
  return Buffer.from(JSON.stringify(body), 'utf8');
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
