import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startPostgres } from '../postgres/start-postgres.ts';
import { withConnection } from '../../tools/migrate/connect.ts';
import {
  DATABASES,
  findMigrationsFolder,
  findSnapshotFile,
  nameDatabase,
} from '../../tools/migrate/databases.ts';
import { migrateDatabase } from '../../tools/migrate/migrate-database.ts';
import { readSchemaSnapshot } from '../../tools/migrate/schema-snapshot.ts';

// `npm run migrate:snapshot`: migrates three empty databases on a temporary server and writes their schemas to files.

const folder = mkdtempSync(path.join(tmpdir(), 'comply-snapshot-'));
try {
  const server = await startPostgres({
    dataDir: path.join(folder, 'postgres'),
    logFile: path.join(folder, 'postgres.log'),
    password: randomBytes(16).toString('hex'),
    durable: false,
  });
  try {
    for (const database of DATABASES) {
      const url = server.adminUrl(nameDatabase(database));
      await migrateDatabase(url, findMigrationsFolder(database), database);
      const file = findSnapshotFile(database);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, await withConnection(url, readSchemaSnapshot));
      process.stdout.write(`${path.relative(process.cwd(), file)}\n`);
    }
  } finally {
    await server.stop('immediate');
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
