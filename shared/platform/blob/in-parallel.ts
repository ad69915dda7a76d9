/** Does some work for each item, at most `width` at once. Results in the items' order; after a failure nothing new is begun, and it is thrown. */
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
  // All are awaited, also after a failure: nothing goes on behind the caller's back.
  const ends = await Promise.allSettled(Array.from({ length: Math.min(width, items.length) }, run));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return items.map((_, at) => results.get(at) as R);
}
