import { execFile } from 'node:child_process';

/** What npm said. */
export interface Said {
  readonly stdout: string;
  readonly stderr: string;
  /** Whether it was stopped, because it took too long. */
  readonly stopped: boolean;
}

const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;

/** Runs npm in a folder: the one that runs this script, else the one on the PATH. Never throws for npm's own failures. */
export function runNpm(
  folder: string,
  args: readonly string[],
  timeoutMs: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<Said> {
  const cli = process.env['npm_execpath'];
  const [command, first] = cli === undefined ? ['npm', []] : [process.execPath, [cli]];
  const options = {
    cwd: folder,
    env: { ...process.env, ...environment },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_MAX_BYTES,
  } as const;
  return new Promise((resolve) => {
    execFile(command, [...first, ...args], options, (error, stdout, stderr) => {
      resolve({ stdout, stderr, stopped: error?.killed === true });
    });
  });
}
