import { styleText } from 'node:util';

/** A JSON object from a response. */
export type Json = Record<string, unknown>;

/** Prints the title of a section. */
export function heading(text: string): void {
  console.log(`\n${styleText('bold', text)}`);
}

/** Prints a sentence. */
export function explain(text: string): void {
  console.log(`  ${text}`);
}

/** Prints a value under a title. */
export function show(text: string, value: unknown): void {
  console.log(`  ${text}:`);
  for (const line of JSON.stringify(value, null, 2).split('\n')) console.log(styleText('dim', `    ${line}`));
}
