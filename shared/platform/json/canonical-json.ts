/**
 * A JSON value in its one canonical form (RFC 8785): members in order of their names' UTF-16 units, no white space,
 * numbers and strings as ECMAScript writes them. For values that came out of `JSON.parse` or are made of the like;
 * members that are undefined are left out.
 */
export function canonicalJson(value: unknown): string {
  if (value === undefined) return 'null';
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) {
    let text = '[';
    for (let n = 0; n < value.length; n += 1) text += (n === 0 ? '' : ',') + canonicalJson(value[n]);
    return `${text}]`;
  }
  let text = '{';
  for (const name of Object.keys(value).sort()) {
    const member: unknown = Reflect.get(value, name);
    if (member === undefined) continue;
    text += `${text === '{' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(member)}`;
  }
  return `${text}}`;
}
