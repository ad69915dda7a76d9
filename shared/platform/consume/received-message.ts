/** A message as the host hands it over, with what of its properties matters here. */
export interface ReceivedMessage {
  /** The body as it travelled. */
  readonly body: Buffer;
  /** The broker's message id; null where the host does not say which is whose. */
  readonly messageId: string | null;
  readonly contentType: string | null;
  /** Application properties; the host lowers the first letter of their names. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/**
 * The messages of one invocation. Bodies are bytes where the trigger asks for them, but a body given by hand, or by a
 * host that does not heed the wish, may be text or already parsed JSON.
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

/** The host leaves empty texts out of its arrays: one that is shorter than the batch says nothing of any message. */
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
