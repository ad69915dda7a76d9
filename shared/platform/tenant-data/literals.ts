const QUOTED = /^'((?:[^']|'')*)'(?:::\w+)?$/;

/**
 * The values of columns that are cleared, from the SQL of their declarations: `null`, or a quoted text. Nothing else: the database's
 * function, which has the owner's rights, takes values and no SQL.
 */
export function literalsOf(cleared: Readonly<Record<string, string>>): Record<string, string | null> {
  return Object.fromEntries(
    Object.entries(cleared).map(([column, sql]) => {
      if (/^null$/i.test(sql)) return [column, null];
      const [, text] = QUOTED.exec(sql) ?? [];
      if (text === undefined) throw new Error(`${column} is cleared to ${sql}, which is no literal`);
      return [column, text.replaceAll("''", "'")];
    }),
  );
}
