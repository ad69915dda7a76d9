/**
 * A JSON value in its canonical form (RFC 8785): members sorted by the UTF-16 units of their names, no white space, numbers
 * and strings as in ECMAScript. Undefined members are left out. This is the only implementation. Audit hashes, archived
 * documents and fingerprints use it. It is many times as fast as the package `canonicalize`, and its test compares the two.
 * @throws TypeError for values without a form in the RFC: a number that is not finite, a lone surrogate.
 */
export function canonicalJson(value: unknown): string {
  if (value === undefined) return 'null';
  const sorter = new Sorter();
  const sorted = sorter.sort(value);
  // One call for the whole value is several times as fast as one call for each text.
  return sorter.kept ? JSON.stringify(sorted) : write(value);
}

/** Copies a value with sorted members, if JavaScript keeps that order. */
class Sorter {
  /**
   * False after a name whose order JavaScript does not keep: a name that begins with a digit may count as an index, and
   * `__proto__` is not a member.
   */
  kept = true;

  sort(value: unknown): unknown {
    if (typeof value === 'string' || typeof value === 'number') requireForm(value);
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map((member) => this.sort(member));
    const copy: Record<string, unknown> = {};
    for (const name of Object.keys(value).sort()) {
      requireForm(name);
      if (name === '__proto__' || isDigit(name.charCodeAt(0))) this.kept = false;
      else copy[name] = this.sort(Reflect.get(value, name));
    }
    return copy;
  }
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function requireForm(value: string | number): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new TypeError('a lone surrogate has no canonical form');
  } else if (!Number.isFinite(value))
    throw new TypeError('a number that is not finite has no canonical form');
}

function write(value: unknown): string {
  if (value === undefined) return 'null';
  if (typeof value === 'string' || typeof value === 'number') requireForm(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return Array.isArray(value) ? list(value) : members(value);
}

function list(values: readonly unknown[]): string {
  let written = '[';
  for (let n = 0; n < values.length; n += 1) written += (n === 0 ? '' : ',') + write(values[n]);
  return `${written}]`;
}

function members(value: object): string {
  let written = '{';
  for (const name of Object.keys(value).sort()) {
    const member: unknown = Reflect.get(value, name);
    if (member === undefined) continue;
    requireForm(name);
    written += `${written === '{' ? '' : ','}${JSON.stringify(name)}:${write(member)}`;
  }
  return `${written}}`;
}
