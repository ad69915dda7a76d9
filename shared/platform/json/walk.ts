import { pointerPart } from './pointer.ts';

/** Where a walk stands. Valid only during the call that it is handed to. */
export interface JsonPlace {
  /** 0 at the root. */
  readonly depth: number;
  /** The member's name in its object; undefined at the root and in an array. */
  readonly name: string | undefined;
  /** The RFC 6901 pointer to the value. Computed when asked for. */
  readonly pointer: string;
  /** The pointer to the object or array that holds the value; the empty string at the root. */
  readonly container: string;
}

interface Open {
  readonly container: object;
  readonly names: readonly string[];
  next: number;
}

class Walk implements JsonPlace {
  readonly open: Open[] = [];

  get depth(): number {
    return this.open.length;
  }

  get name(): string | undefined {
    const holder = this.open.at(-1);
    return holder === undefined || Array.isArray(holder.container)
      ? undefined
      : holder.names[holder.next - 1];
  }

  get pointer(): string {
    return pointerOf(this.open);
  }

  get container(): string {
    return pointerOf(this.open.slice(0, -1));
  }
}

function pointerOf(open: readonly Open[]): string {
  return open.map(({ names, next }) => `/${pointerPart(names[next - 1] ?? '')}`).join('');
}

/**
 * Shows a JSON value and everything in it to `look`, each container before its members, members in their order. The walk
 * ends at the first answer that is not undefined, and returns it. It keeps its own stack, so that no depth of nesting can
 * overflow the call stack; a caller that wants a limit looks at {@link JsonPlace.depth}.
 */
export function findInJson<T>(
  root: unknown,
  look: (value: unknown, place: JsonPlace) => T | undefined,
): T | undefined {
  const walk = new Walk();
  const { open } = walk;
  let value = root;
  for (;;) {
    const answer = look(value, walk);
    if (answer !== undefined) return answer;
    if (typeof value === 'object' && value !== null)
      open.push({ container: value, names: Object.keys(value), next: 0 });
    let last = open.at(-1);
    while (last !== undefined && last.next === last.names.length) {
      open.pop();
      last = open.at(-1);
    }
    if (last === undefined) return undefined;
    // An own member, also where its name is `__proto__`.
    value = Reflect.get(last.container, last.names[last.next] ?? '');
    last.next += 1;
  }
}

/**
 * A copy of a JSON value with `change` applied to each text in it; names are kept as they are. For values whose depth was
 * checked when they came in.
 */
export function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((member) => mapTexts(member, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, mapTexts(member, change)]));
}
