import { loadModule, parseSync } from 'libpg-query';

/** A node of PostgreSQL's parse tree. */
export type Node = Readonly<Record<string, unknown>>;

/** A statement of a migration. */
export interface Statement {
  /** The kind of node, like `AlterTableStmt`. */
  readonly kind: string;
  readonly node: Node;
  readonly line: number;
  /** Our rules that a comment before it allows to violate: `-- allow removal-in-contract: nothing has ever called it`. */
  readonly allowed: ReadonlySet<string>;
  /** A comment before it switches off one of squawk's rules, and none says why. */
  readonly isUnexplained: boolean;
}

await loadModule();

const COMMENT = /^[ \t]*-- ?(.*)$/gm;
const ALLOW = /^allow ([a-z-]+): \S/;
const IGNORE = /^squawk-ignore /;
const LABEL = /^(?:phase: |after-release: |no-transaction$)/;

/** Parses a migration with PostgreSQL's own parser. Throws its error when the text is no SQL. */
export function parseFile(text: string): Statement[] {
  // Places in the tree count bytes. A statement begins behind its comments.
  const bytes = Buffer.from(text, 'utf8');
  let end = 0;
  return (parseSync(text).stmts ?? []).map((raw) => {
    const [kind, node] = Object.entries(raw.stmt ?? {})[0] as [string, Node];
    const begin = raw.stmt_location ?? 0;
    const before = bytes.subarray(end, begin).toString();
    end = begin + (raw.stmt_len ?? 0);
    const comments = [...before.matchAll(COMMENT)].map(([, comment]) => comment ?? '');
    return {
      kind,
      node,
      line: bytes.subarray(0, begin).toString().split('\n').length,
      allowed: new Set(comments.flatMap((comment) => ALLOW.exec(comment)?.[1] ?? [])),
      isUnexplained:
        comments.some((comment) => IGNORE.test(comment)) &&
        comments.every((comment) => IGNORE.test(comment) || LABEL.test(comment)),
    };
  });
}

/** The nodes in a list of the tree. */
export function listOf(value: unknown): Node[] {
  return Array.isArray(value) ? (value as Node[]) : [];
}

/** A text in the tree, or ''. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A table's name, without the schema `public`. */
export function tableOf(range: unknown): string {
  const { schemaname, relname } = (range ?? {}) as Node;
  const schema = textOf(schemaname);
  return schema === '' || schema === 'public' ? textOf(relname) : `${schema}.${textOf(relname)}`;
}
