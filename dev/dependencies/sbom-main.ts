import path from 'node:path';
import { writeSbom } from './sbom.ts';

// `npm run sbom`

const folder = path.join(import.meta.dirname, '../..');
const file = path.join(folder, '.local/sbom.cdx.json');
const { specVersion, purls } = await writeSbom(folder, file);
process.stdout.write(
  `${path.relative(folder, file)}: ${purls.size} components, valid CycloneDX ${specVersion}\n`,
);
