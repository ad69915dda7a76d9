import { parseRouteTemplate, type RouteSegment } from './route-template.ts';

/** A route. Methods are upper case. */
export interface RouteEntry<T> {
  readonly template: string;
  readonly methods: readonly string[];
  readonly target: T;
}

/** The target of a path, and its decoded parameter values. */
export interface RouteMatch<T> {
  readonly target: T;
  readonly params: Record<string, string>;
}

/** Finds the target of a request. Undefined also when the path exists only with other methods, as in Azure. */
export type RouteTable<T> = (method: string, path: string) => RouteMatch<T> | undefined;

type PatternSegment = Extract<RouteSegment, { kind: 'pattern' }>;

interface Leaf<T> {
  readonly entry: RouteEntry<T>;
  readonly names: readonly string[];
  readonly defaults: Readonly<Record<string, string>>;
}

interface Node<T> {
  readonly literals: Map<string, Node<T>>;
  readonly patterns: { readonly segment: PatternSegment; readonly node: Node<T> }[];
  readonly leaves: Map<string, Leaf<T>>;
}

function createNode<T>(): Node<T> {
  return { literals: new Map(), patterns: [], leaves: new Map() };
}

function childOf<T>(node: Node<T>, segment: RouteSegment): Node<T> {
  if (segment.kind === 'literal') {
    const known = node.literals.get(segment.key) ?? createNode<T>();
    node.literals.set(segment.key, known);
    return known;
  }
  const known = node.patterns.find((edge) => edge.segment.shape === segment.shape);
  if (known) return known.node;
  const child = createNode<T>();
  node.patterns.push({ segment, node: child });
  node.patterns.sort((a, b) => a.segment.rank - b.segment.rank);
  return child;
}

function addLeaf<T>(node: Node<T>, leaf: Leaf<T>): void {
  for (const method of leaf.entry.methods) {
    const other = node.leaves.get(method);
    if (other && other.entry !== leaf.entry) {
      throw new Error(
        `Routes "${other.entry.template}" and "${leaf.entry.template}" both answer ${method} on one path.`,
      );
    }
    node.leaves.set(method, leaf);
  }
}

function addRoute<T>(root: Node<T>, entry: RouteEntry<T>): void {
  const segments = parseRouteTemplate(entry.template);
  let node = root;
  const names: string[] = [];
  segments.forEach((segment, index) => {
    const rest = segments.slice(index);
    // The path may end here when all following segments are optional.
    if (rest.every((later) => later.kind === 'pattern' && later.optional)) {
      const defaults: Record<string, string> = {};
      for (const later of rest) {
        if (later.kind === 'pattern' && later.defaultValue !== undefined) {
          defaults[later.names[0] ?? ''] = later.defaultValue;
        }
      }
      addLeaf(node, { entry, names: [...names], defaults });
    }
    if (segment.kind === 'pattern') names.push(...segment.names);
    node = childOf(node, segment);
  });
  addLeaf(node, { entry, names, defaults: {} });
}

/** Decodes a part of a path. As in ASP.NET, `%2F` stays, and so does text that cannot be decoded. */
function decodePathText(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text.replace(/%2f/gi, (slash) => `%25${slash.slice(1)}`));
  } catch {
    return text;
  }
}

function findLeaf<T>(
  node: Node<T>,
  parts: readonly string[],
  index: number,
  values: string[],
  method: string,
): Leaf<T> | undefined {
  const part = parts[index];
  if (part === undefined) return node.leaves.get(method);
  const literal = node.literals.get(part.toLowerCase());
  const found = literal && findLeaf(literal, parts, index + 1, values, method);
  if (found) return found;
  for (const { segment, node: child } of node.patterns) {
    const caught = segment.match(segment.catchAll ? parts.slice(index).join('/') : part);
    if (!caught) continue;
    values.push(...caught);
    const leaf = findLeaf(child, parts, segment.catchAll ? parts.length : index + 1, values, method);
    if (leaf) return leaf;
    values.length -= caught.length;
  }
  return undefined;
}

/**
 * Builds the table. If several routes match, the order is that of ASP.NET, segment by segment: literal text, parameters with
 * a constraint, free parameters, catch-all parameters. Letter case is ignored.
 *
 * @throws when a template is malformed, or two routes answer the same method on the same paths.
 */
export function createRouteTable<T>(entries: readonly RouteEntry<T>[]): RouteTable<T> {
  const root = createNode<T>();
  for (const entry of entries) addRoute(root, entry);
  return (method, path) => {
    const end = path.length > 1 && path.endsWith('/') ? -1 : undefined;
    const text = path.slice(1, end);
    const parts = text === '' ? [] : text.split('/').map(decodePathText);
    const values: string[] = [];
    const leaf = findLeaf(root, parts, 0, values, method);
    if (!leaf) return undefined;
    const params: Record<string, string> = { ...leaf.defaults };
    leaf.names.forEach((name, index) => {
      params[name] = values[index] ?? '';
    });
    return { target: leaf.entry.target, params };
  };
}
