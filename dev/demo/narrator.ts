import { styleText } from 'node:util';

/** A JSON object as it came over the wire. */
export type Json = Record<string, unknown>;

/** Opens a chapter. */
export function heading(text: string): void {
  console.log(`\n${styleText('bold', text)}`);
}

/** Says one thing. */
export function explain(text: string): void {
  console.log(`  ${text}`);
}

/** Shows what came out. */
export function show(text: string, value: unknown): void {
  console.log(`  ${text}:`);
  for (const line of JSON.stringify(value, null, 2).split('\n')) console.log(styleText('dim', `    ${line}`));
}
