import { existsSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const frame = z.object({
  functionName: z.string(),
  url: z.string(),
  lineNumber: z.int(),
  columnNumber: z.int(),
});
const profileSchema = z.object({
  nodes: z.array(z.object({ id: z.int(), callFrame: frame, children: z.array(z.int()).optional() })),
  samples: z.array(z.int()),
  timeDeltas: z.array(z.int()),
});

/** A share of a profile's busy time. */
export interface Share {
  readonly owner: string;
  readonly share: number;
}

const maps = new Map<string, SourceMap | undefined>();

function mapOf(url: string): SourceMap | undefined {
  if (!maps.has(url)) {
    const file = `${fileURLToPath(url)}.map`;
    maps.set(
      url,
      existsSync(file)
        ? new SourceMap(JSON.parse(readFileSync(file, 'utf8')) as SourceMapPayload)
        : undefined,
    );
  }
  return maps.get(url);
}

/** The source file of a frame; undefined for Node's own code. */
function sourceOf({ url, lineNumber, columnNumber }: z.output<typeof frame>): string | undefined {
  if (!url.startsWith('file:')) return undefined;
  const entry = mapOf(url)?.findEntry(lineNumber, columnNumber);
  return entry !== undefined && 'originalSource' in entry ? entry.originalSource : url;
}

/** The owner of a source file: a package, a folder of shared/, or the development host. */
function ownerOf(source: string): string {
  // The source map of a bundled package has paths of its own.
  const packaged = [...source.matchAll(/(?:node_modules\/|webpack:\/\/)((?:@[^/]+\/)?[^/]+)/g)].at(-1)?.[1];
  if (packaged !== undefined) return packaged;
  const own = /(?:^|\/)(shared\/[^/]+\/[^/]+|functions|dev\/host)\//.exec(source)?.[1];
  return own ?? source.split('/').slice(-2).join('/');
}

/**
 * Divides a profile's busy time among owners. A sample counts for the nearest frame on its stack that is ours or a package's,
 * so a socket's write counts for the code that wrote. Samples without such a frame count as 'node'.
 */
export function summarizeProfile(text: string): readonly Share[] {
  const profile = profileSchema.parse(JSON.parse(text));
  const parents = new Map(
    profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])),
  );
  const nodes = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const owners = new Map<number, string>();
  const find = (id: number): string => {
    const known = owners.get(id);
    if (known !== undefined) return known;
    const at = nodes.get(id);
    const parent = parents.get(id);
    let owner = 'node';
    if (at?.functionName === '(idle)') owner = 'idle';
    else if (at?.functionName === '(garbage collector)') owner = 'garbage collector';
    else {
      const source = at === undefined ? undefined : sourceOf(at);
      if (source !== undefined) owner = ownerOf(source);
      else if (parent !== undefined) owner = find(parent);
    }
    owners.set(id, owner);
    return owner;
  };
  const times = new Map<string, number>();
  profile.samples.forEach((sample, n) => {
    const owner = find(sample);
    times.set(owner, (times.get(owner) ?? 0) + (profile.timeDeltas[n] ?? 0));
  });
  times.delete('idle');
  const busy = [...times.values()].reduce((sum, time) => sum + time, 0);
  return [...times]
    .map(([owner, time]) => ({ owner, share: time / busy }))
    .sort((left, right) => right.share - left.share);
}
