import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findTypeScriptNode } from '../processes/node-command.ts';

/** The folder of the app: the repository, where host.json and package.json lie and dist/ is made. */
export const APP_FOLDER = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Builds dist/main.js as `npm run build` does, into the repository or into a folder of its own, and returns the app's
 * folder. `entry` builds another app than this one the same way. Throws with the builder's words.
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
