const RELEASE = /^(\d+)\.(\d+)\.(\d+)$/;

/** Whether a text is a release: three numbers, as in `package.json`. */
export function isRelease(text: string): boolean {
  return RELEASE.test(text);
}

/** Below zero when release `a` is older than `b`, zero when they are the same. Throws when one of them is no release. */
export function compareReleases(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => {
    const parts = RELEASE.exec(text);
    if (parts === null) throw new Error(`${text} is not a release like 1.2.3`);
    return parts.slice(1).map(Number);
  });
  for (const [index, part] of (left ?? []).entries()) {
    const difference = part - (right?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
