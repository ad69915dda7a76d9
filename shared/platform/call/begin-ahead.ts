/** Begins something before it is needed. A failure is not lost: it comes again at the first use, where it is answered. */
export function beginAhead(begin: () => unknown): void {
  try {
    Promise.resolve(begin()).catch(() => undefined);
  } catch {
    // It failed at once: the same holds.
  }
}
