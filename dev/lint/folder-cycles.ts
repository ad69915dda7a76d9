/** One file imports another; both by their paths from the repository's root, with slashes. */
export interface Import {
  readonly from: string;
  readonly to: string;
}

/** Parts of one folder (its subfolders and its own files) that need each other. */
export interface FolderCycle {
  /** The folder that holds them; empty for the repository's root. */
  readonly folder: string;
  /** The shortest way round: an import that leads from each part to the next, and from the last to the first. */
  readonly imports: readonly Import[];
}

interface Step {
  readonly from: string;
  readonly to: string;
  readonly by: Import;
}

/** The folder in which the two ways part, and the part of it that each leads into. */
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

/** The shortest way from `start` back to itself, or undefined. */
function findWayRound(start: string, steps: ReadonlyMap<string, readonly Step[]>): Step[] | undefined {
  const ways: Step[][] = (steps.get(start) ?? []).map((step) => [step]);
  const seen = new Set<string>();
  for (const way of ways) {
    const last = way.at(-1);
    if (last === undefined || seen.has(last.to)) continue;
    if (last.to === start) return way;
    seen.add(last.to);
    for (const step of steps.get(last.to) ?? []) ways.push([...way, step]); // the loop takes them in turn
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
  const told = new Set<string>();
  for (const part of [...steps.keys()].sort()) {
    const way = told.has(part) ? undefined : findWayRound(part, steps);
    if (way === undefined) continue;
    for (const { from } of way) told.add(from);
    if (way.every(({ by }) => isOwnFile(folder, by.from) && isOwnFile(folder, by.to))) continue;
    cycles.push({ folder, imports: way.map(({ by }) => by) });
  }
  return cycles;
}

/**
 * Finds, in every folder, subfolders and files that import each other in a circle. An import counts in the one folder where
 * the ways of its two files part; so a folder without a cycle has an order in which each part needs only earlier ones.
 * Each part that stands in a circle is in one of those told. Circles of files alone are left out: another rule has those.
 */
export function findFolderCycles(imports: readonly Import[]): FolderCycle[] {
  const byFolder = new Map<string, Step[]>();
  for (const one of imports) {
    const found = findStep(one);
    if (found) byFolder.set(found.folder, [...(byFolder.get(found.folder) ?? []), found.step]);
  }
  return [...byFolder].sort().flatMap(([folder, steps]) => findCyclesIn(folder, steps));
}
