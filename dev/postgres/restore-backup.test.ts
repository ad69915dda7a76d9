import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { takeBaseBackup } from './base-backup.ts';
import { restoreBackup } from './restore-backup.ts';
import { startPostgres, type PostgresServer } from './start-postgres.ts';
import { archiveAll, asSuperuser, makeWalArchive } from './wal-archive.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'comply-restore-'));
const archive = makeWalArchive();
const password = 'secret';
const servers: PostgresServer[] = [];

const server = await startPostgres({
  dataDir: path.join(folder, 'source'),
  logFile: path.join(folder, 'source.log'),
  password,
  durable: false,
  settings: archive.serverSettings,
});
servers.push(server);

afterAll(async () => {
  await Promise.all(servers.map((one) => one.stop('immediate')));
  archive.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** Inserts a row. Returns a moment after its commit and before any later one. */
async function insert(n: number): Promise<Date> {
  await asSuperuser(server, (client) => client.query('insert into moments values ($1)', [n]));
  return new Date(Date.now() + 1);
}

const valuesOf = (of: PostgresServer): Promise<number[]> =>
  asSuperuser(of, async (client) => {
    const { rows } = await client.query<{ n: number }>('select n from moments order by n');
    return rows.map(({ n }) => n);
  });

test('a backup and the archive give each moment after the backup, in a new server that takes writes', async () => {
  await asSuperuser(server, (client) => client.query('create table moments (n int)'));
  await insert(1);
  const backup = await takeBaseBackup(server, path.join(archive.folder, 'base'));
  expect(backup.bytes).toBeGreaterThan(1_000_000);
  const first = await insert(2);
  const second = await insert(3);
  await insert(4);
  await archiveAll(server, archive);
  await server.stop('immediate');
  const restore = async (name: string, moment: Date): Promise<PostgresServer> => {
    const restored = await restoreBackup({
      backup,
      archive,
      moment,
      dataDir: path.join(folder, name),
      logFile: path.join(folder, `${name}.log`),
      password,
    });
    servers.push(restored);
    return restored;
  };
  const [early, late] = [await restore('early', first), await restore('late', second)];
  expect(await valuesOf(early)).toEqual([1, 2]);
  expect(await valuesOf(late)).toEqual([1, 2, 3]);
  await asSuperuser(early, (client) => client.query('insert into moments values (9)'));
  expect(await valuesOf(early)).toEqual([1, 2, 9]);
  // The archive ends here: what was never archived cannot be restored.
  const future = new Date(Date.now() + 60_000);
  await expect(restore('future', future)).rejects.toThrow('recovery ended before configured recovery target');
});
