import { spawn } from 'node:child_process';

/** Runs a program with this process's output, and more environment. @throws Error when it fails. */
export function runProgram(
  command: string,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...more } });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          new Error(`${[command, ...args].slice(0, 3).join(' ')} ended with ${code ?? signal ?? 'nothing'}`),
        );
    });
  });
}

/** Notes a value in azd's environment, where the parameter files and the next hooks read it. */
export async function setInAzd(name: string, value: string): Promise<void> {
  await runProgram('azd', ['env', 'set', name, value]);
}
