/**
 * Runs `work` for each item, at most `width` at the same time. Returns the results in the items' order. After a failure it
 * starts nothing new, and throws the failure when the running work has ended.
 */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Map<number, R>();
  let next = 0;
  let failed = false;
  const run = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const at = next++;
      try {
        results.set(at, await work(items[at] as T));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  // Waits for all of them, also after a failure, so that no work continues after this function ends.
  const ends = await Promise.allSettled(Array.from({ length: Math.min(width, items.length) }, run));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return items.map((_, at) => results.get(at) as R);
}
