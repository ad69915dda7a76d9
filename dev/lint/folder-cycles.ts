/** An import of one file by another. Both are paths from the repository's root, with slashes. */
export interface Import {
  readonly from: string;
  readonly to: string;
}

/** Parts of one folder (subfolders and its own files) that import each other. */
export interface FolderCycle {
  /** The folder of these parts; empty for the repository's root. */
  readonly folder: string;
  /** The shortest cycle: an import from each part to the next, and from the last to the first. */
  readonly imports: readonly Import[];
}

interface Step {
  readonly from: string;
  readonly to: string;
  readonly by: Import;
}

/** The innermost folder that contains both files, and the part of it that each file is in. */
function findStep(by: Import): { folder: string; step: Step } | undefined {
  const [from, to] = [by.from.split('/'), by.to.split('/')];
  let depth = 0;
  while (from[depth] === to[depth]) {
    if (depth >= from.length) return undefined; // a file that imports itself
    depth += 1;
  }
  const folder = from.slice(0, depth).join('/');
  return { folder, step: { from: from[depth] ?? '', to: to[depth] ?? '', by } };
}

/** The shortest path from `start` back to itself, or undefined. */
function findShortestCycle(start: string, steps: ReadonlyMap<string, readonly Step[]>): Step[] | undefined {
  const paths: Step[][] = (steps.get(start) ?? []).map((step) => [step]);
  const seen = new Set<string>();
  for (const path of paths) {
    const last = path.at(-1);
    if (last === undefined || seen.has(last.to)) continue;
    if (last.to === start) return path;
    seen.add(last.to);
    for (const step of steps.get(last.to) ?? []) paths.push([...path, step]); // the loop reaches these later
  }
  return undefined;
}

function isOwnFile(folder: string, file: string): boolean {
  return file.slice(0, Math.max(0, file.lastIndexOf('/'))) === folder;
}

function findCyclesIn(folder: string, all: readonly Step[]): FolderCycle[] {
  const steps = new Map<string, Step[]>();
  for (const step of all) {
    const known = steps.get(step.from) ?? [];
    if (!known.some(({ to }) => to === step.to)) steps.set(step.from, [...known, step]);
  }
  const cycles: FolderCycle[] = [];
  const reported = new Set<string>();
  for (const part of [...steps.keys()].sort()) {
    const cycle = reported.has(part) ? undefined : findShortestCycle(part, steps);
    if (cycle === undefined) continue;
    for (const { from } of cycle) reported.add(from);
    if (cycle.every(({ by }) => isOwnFile(folder, by.from) && isOwnFile(folder, by.to))) continue;
    cycles.push({ folder, imports: cycle.map(({ by }) => by) });
  }
  return cycles;
}

/**
 * Finds, in every folder, subfolders and files that import each other in a cycle. An import counts only in the innermost
 * folder that contains both its files. So a folder without a cycle has an order in which each part imports only earlier ones.
 * Every part of a cycle is in a reported one. Cycles of files alone are left out: another rule reports them.
 */
export function findFolderCycles(imports: readonly Import[]): FolderCycle[] {
  const byFolder = new Map<string, Step[]>();
  for (const one of imports) {
    const found = findStep(one);
    if (found) byFolder.set(found.folder, [...(byFolder.get(found.folder) ?? []), found.step]);
  }
  return [...byFolder].sort().flatMap(([folder, steps]) => findCyclesIn(folder, steps));
}
