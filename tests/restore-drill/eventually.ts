import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 100;

/** Reads until the value is right. @throws with what was last seen. */
export async function eventually<T>(
  read: () => Promise<T>,
  isRight: (value: T) => boolean,
  seconds: number,
): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const value = await read();
    if (isRight(value)) return value;
    if (performance.now() > deadline)
      throw new Error(`not within ${seconds} s; last seen: ${JSON.stringify(value).slice(0, 500)}`);
    await delay(POLL_MS);
  }
}
