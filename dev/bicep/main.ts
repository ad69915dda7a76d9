import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { deployedQueues } from './queue-definitions.ts';

// `npm run bicep:queues`: writes the queues of the code where the template reads them. `tests/bicep` fails while they differ.

const file = path.join(import.meta.dirname, '../../bicep/queues.json');
writeFileSync(file, `${JSON.stringify(deployedQueues(), null, 2)}\n`);
process.stdout.write(`${path.relative(process.cwd(), file)}\n`);
