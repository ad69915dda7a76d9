/** `npm run build [FOLDER [ENTRY]]`: builds the deployment into dist/, or into FOLDER/dist/. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildDeployment } from './build-app.ts';

const [folder = '.', entry = 'functions/main.ts'] = process.argv.slice(2);
await buildDeployment(folder, entry);
if (folder !== '.') {
  // Makes FOLDER a complete app. Test hosts load such an app, because no later build changes it.
  await Promise.all(['package.json', 'host.json'].map((name) => copyFile(name, join(folder, name))));
}
