// What may have a semicolon inside: comments, strings, quoted names and dollar-quoted bodies. And the semicolon itself.
const TOKEN = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]*)\$[\s\S]*?\$\1\$|;/g;

const COMMENTS_ONLY = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*$/;

/** Splits SQL into its statements, each with its semicolon and with the comments before it. */
export function splitStatements(text: string): string[] {
  const statements: string[] = [];
  let from = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match[0] !== ';') continue;
    statements.push(text.slice(from, match.index + 1).trim());
    from = match.index + 1;
  }
  statements.push(text.slice(from).trim());
  return statements.filter((statement) => !COMMENTS_ONLY.test(statement));
}
