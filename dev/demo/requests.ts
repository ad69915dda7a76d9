import type { ApiClient } from '../client/api-client.ts';
import type { Json } from './print.ts';

/** Sends a request. Throws on an unexpected status: after a failure the demo would show nothing useful. */
export async function expect(
  client: ApiClient,
  statuses: readonly number[],
  method: string,
  path: string,
  body?: unknown,
): Promise<Json> {
  const answer = await client.send(method, path, body);
  if (!statuses.includes(answer.status)) {
    throw new Error(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  }
  return (answer.body ?? {}) as Json;
}

/** Repeats `read` until `done`, because the effects of Service Bus messages arrive a moment later. */
export async function eventually(
  read: () => Promise<Json>,
  done: (value: Json) => boolean,
  seconds = 20,
): Promise<Json> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await read();
    if (done(value) || Date.now() > deadline) return value;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
