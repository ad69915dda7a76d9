/** The most names that are kept. The app has some hundred statements. */
const NAMES_MAX = 2_000;

const names = new Map<string, string>();

/**
 * A statement's name in a trace: what it does to which table (`insert storage_records`). Its text is never shown, and its values are
 * not in its text.
 */
export function statementName(text: string): string {
  let name = names.get(text);
  if (name === undefined) {
    name = nameOf(text);
    if (names.size >= NAMES_MAX) names.clear();
    names.set(text, name);
  }
  return name;
}

/** `for update` locks, and `do update set` is part of an insert. */
const CHANGE =
  /(?<!\bfor )(?<!\bdo )\b(insert into|update|delete from)\s+([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?)/;
const SOURCE = /\bfrom\s+(?:only\s+)?([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?)(?![a-z0-9_.]*\s*\()/g;
const MEMBER = /\b([a-z_][a-z0-9_]*)\s+as\s+(?:materialized\s+)?\(/g;
const NO_TABLES: ReadonlySet<string> = new Set(['scope', 'lateral', 'unnest', 'only']);

function nameOf(text: string): string {
  const [, change, changed] = CHANGE.exec(text) ?? [];
  if (change !== undefined && changed !== undefined) return `${change.split(' ')[0] ?? ''} ${changed}`;
  const members = new Set([...text.matchAll(MEMBER)].map((match) => match[1]));
  for (const [, table = ''] of text.matchAll(SOURCE))
    if (!members.has(table) && !NO_TABLES.has(table)) return `select ${table}`;
  return text.includes('set_config') ? 'set_config' : 'select';
}
