import type { IncomingMessage, ServerResponse } from 'node:http';

/** After a refusal this much more is read: closing at once would reset the connection before the client reads the answer. */
const LINGER_BYTES = 4_194_304;

/** How long a refusal waits for a client that continues to send. */
const LINGER_MS = 1_000;

/** Whether the request's headers announce a body. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return (length !== undefined && length !== '0') || request.headers['transfer-encoding'] !== undefined;
}

/** Whether the client sends its body only after a `100 Continue`. */
function waitsForContinue(request: IncomingMessage): boolean {
  return /\b100-continue\b/i.test(request.headers.expect ?? '');
}

/** The body is longer than the limit; the rest of it is unread. */
export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge';
}

/**
 * Reads the whole body. Rejects with {@link BodyTooLarge} when it is longer than `limitBytes`: at once if `content-length`
 * says so. Also rejects when the client closes the connection early.
 */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  limitBytes: number,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > limitBytes) {
      reject(new BodyTooLarge());
      return;
    }
    if (waitsForContinue(request)) response.writeContinue();
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= limitBytes) {
        chunks.push(chunk);
        return;
      }
      request.off('data', take);
      request.pause();
      chunks.length = 0;
      reject(new BodyTooLarge());
    };
    request.on('data', take);
    request.on('end', () => {
      const [only] = chunks;
      resolve(chunks.length === 1 && only ? only : Buffer.concat(chunks));
    });
    request.on('error', reject);
    request.on('close', () => {
      if (!request.complete)
        reject(new Error('The client closed the connection before its request was complete.'));
    });
  });
}

/** Resolves when the client has sent everything, when a linger limit is reached, or when the client disconnects. */
function discardRest(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let left = LINGER_BYTES;
    const timer = setTimeout(resolve, LINGER_MS);
    const finish = (): void => {
      clearTimeout(timer);
      resolve();
    };
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) finish();
    });
    request.on('end', finish);
    request.on('error', finish);
    request.on('close', finish);
    request.resume();
  });
}

/**
 * Sends a status, with `problem` as its JSON body, and closes the connection if the request's body is unread. Otherwise
 * Node would read the whole body to keep the connection for the next request.
 */
export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  problem?: { readonly error: string },
): void {
  const bytes = Buffer.from(problem === undefined ? '' : JSON.stringify(problem));
  const type = problem === undefined ? [] : ['content-type', 'application/json; charset=utf-8'];
  const unread = hasBody(request) && !request.complete;
  if (unread) response.shouldKeepAlive = false;
  response.writeHead(status, [...type, 'content-length', String(bytes.length)]);
  if (!unread || waitsForContinue(request)) {
    response.end(bytes);
    return;
  }
  if (bytes.length > 0) response.write(bytes);
  else response.flushHeaders();
  void discardRest(request).then(() => response.end());
}
