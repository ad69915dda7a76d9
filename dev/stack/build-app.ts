import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findTypeScriptNode } from '../processes/node-command.ts';

/** The folder of the app: the repository, with host.json, package.json and dist/. */
export const APP_FOLDER = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Builds dist/main.js as `npm run build` does, into the repository or into `folder`, and returns the app's folder. With
 * `entry`, builds another app in the same way. Throws with the builder's output.
 */
export async function buildApp(folder = APP_FOLDER, entry?: string): Promise<string> {
  const run = promisify(execFile);
  try {
    await run(
      findTypeScriptNode(),
      [
        path.join(APP_FOLDER, 'tools/build/main.ts'),
        ...(folder === APP_FOLDER ? [] : [folder]),
        ...(entry === undefined ? [] : [entry]),
      ],
      { cwd: APP_FOLDER },
    );
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`the app does not build:\n${stderr ?? String(error)}`, { cause: error });
  }
  return folder;
}
