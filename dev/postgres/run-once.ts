import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Account } from './account.ts';

/**
 * Runs a command under the account and returns its output; throws with the output when it fails. `inputFile` is its standard
 * input. This process opens the file, because the account may not be able to reach it.
 */
export async function runOnce(
  account: Account,
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly inputFile?: string } = {},
): Promise<string> {
  const input = options.inputFile === undefined ? undefined : openSync(options.inputFile, 'r');
  try {
    return await new Promise<string>((resolve, reject) => {
      const child = spawn(command, args, {
        ...account.ids,
        cwd: options.cwd ?? '/',
        stdio: [input ?? 'ignore', 'pipe', 'pipe'],
      });
      let printed = '';
      for (const stream of [child.stdout, child.stderr])
        stream?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
      child.once('error', reject);
      child.once('close', (code, signal) => {
        if (code === 0) resolve(printed);
        else reject(new Error(`${command} failed (${signal ?? `exit code ${code}`})\n${printed.trim()}`));
      });
    });
  } finally {
    if (input !== undefined) closeSync(input);
  }
}
