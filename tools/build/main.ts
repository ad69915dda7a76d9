/** `npm run build [FOLDER [ENTRY]]`: builds the deployment into dist/, or into a folder of its own. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildDeployment } from './build-app.ts';

const [folder = '.', entry = 'functions/main.ts'] = process.argv.slice(2);
await buildDeployment(folder, entry);
if (folder !== '.') {
  // An app of its own beside the bundle: the tests' hosts load one that no later build changes under them.
  await Promise.all(['package.json', 'host.json'].map((name) => copyFile(name, join(folder, name))));
}
