import { pointerPart } from './pointer.ts';

/** The current place of a walk. Valid only during the call that gets it. */
export interface JsonPlace {
  /** 0 at the root. */
  readonly depth: number;
  /** The member's name in its object; undefined at the root and in an array. */
  readonly name: string | undefined;
  /** The RFC 6901 pointer to the value. Computed on access. */
  readonly pointer: string;
  /** The pointer to the object or array that contains the value; the empty string at the root. */
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
 * Calls `look` for a JSON value and everything in it: each container before its members, members in order. The walk ends at
 * the first result that is not undefined, and returns it. It uses its own stack, so deep nesting cannot overflow the call
 * stack. A caller that needs a limit checks {@link JsonPlace.depth}.
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
    // An own member, even if its name is `__proto__`.
    value = Reflect.get(last.container, last.names[last.next] ?? '');
    last.next += 1;
  }
}

/**
 * A copy of a JSON value with `change` applied to each text. Names stay the same. The value's depth must have been checked
 * before.
 */
export function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((member) => mapTexts(member, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, mapTexts(member, change)]));
}
