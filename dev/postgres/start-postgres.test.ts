import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { afterAll, describe, expect, test } from 'vitest';
import { readProcessIdentity } from '../processes/process-identity.ts';
import { startPostgres } from './start-postgres.ts';
import type { PostgresServer } from './start-postgres.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'comply-postgres-'));
const started: PostgresServer[] = [];

afterAll(async () => {
  await Promise.all(started.map((server) => server.stop('immediate')));
  rmSync(folder, { recursive: true, force: true });
});

async function start(name: string, port?: number): Promise<PostgresServer> {
  const server = await startPostgres({
    dataDir: path.join(folder, name),
    logFile: path.join(folder, `${name}.log`),
    password: 'a password with spaces & signs',
    durable: false,
    port,
  });
  started.push(server);
  return server;
}

async function ask(server: PostgresServer, statement: string): Promise<unknown[]> {
  const sql = postgres(server.adminUrl(), { max: 1, onnotice: () => undefined });
  try {
    return await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}

describe('a local PostgreSQL', () => {
  test('keeps its committed rows and its port through a kill and through both kinds of stop', async () => {
    const server = await start('kept');
    await ask(server, 'create table kept (n integer)');
    const endings = [() => server.kill(), () => server.stop('immediate'), () => server.stop('fast')];
    for (const [n, end] of endings.entries()) {
      await ask(server, `insert into kept values (${n})`);
      await end();
      expect(server.process.running).toBe(false);
      await server.start();
      expect(await ask(server, 'select count(*)::int as rows from kept')).toEqual([{ rows: n + 1 }]);
    }
  });

  test('asks every connection for its password', async () => {
    const server = await start('kept-out');
    const sql = postgres(`postgres://postgres:wrong@127.0.0.1:${server.port}/postgres`, { max: 1 });
    await expect(sql`select 1`).rejects.toMatchObject({ code: '28P01' });
    await sql.end();
  });

  test('starts when the pid in a dead server’s pid file now belongs to another process', async () => {
    const server = await start('stale');
    await server.kill();
    writeFileSync(path.join(folder, 'stale', 'postmaster.pid'), `${process.pid}\n${folder}/stale\n0\n5432\n`);
    await server.start();
    expect(await ask(server, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('ends a server that was left running on the same data', async () => {
    const left = await start('left');
    const pid = left.process.pid ?? 0;
    const next = await start('left');
    expect(readProcessIdentity(pid)).toBeUndefined();
    expect(await ask(next, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('starts when an earlier start was killed while it made the data', async () => {
    mkdirSync(path.join(folder, 'half.new'));
    writeFileSync(path.join(folder, 'half.new', 'PG_VERSION'), '18\n');
    const server = await start('half');
    expect(await ask(server, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('keeps its data in a folder that only we may enter, after a restart and after a server left running', async () => {
    const closed = mkdtempSync(path.join(tmpdir(), 'comply-closed-'));
    expect(statSync(closed).mode & 0o077).toBe(0);
    const options = {
      dataDir: path.join(closed, 'below', 'postgres'),
      logFile: path.join(closed, 'postgres.log'),
      password: 'test',
      durable: false,
    };
    try {
      const server = await startPostgres(options);
      started.push(server);
      await ask(server, 'create table kept (n integer)');
      expect(existsSync(path.join(options.dataDir, 'PG_VERSION'))).toBe(true);
      await server.kill();
      await server.start();
      await ask(server, 'insert into kept values (1)');
      const pid = server.process.pid ?? 0;
      const next = await startPostgres(options);
      started.push(next);
      expect(readProcessIdentity(pid)).toBeUndefined();
      expect(await ask(next, 'select n from kept')).toEqual([{ n: 1 }]);
      await next.stop('immediate');
    } finally {
      rmSync(closed, { recursive: true, force: true });
    }
  });

  test('takes another port when the wanted one is in use', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const address = holder.address();
    const taken = address !== null && typeof address === 'object' ? address.port : 0;
    try {
      const server = await start('port', taken);
      expect(server.port).not.toBe(taken);
      expect(await ask(server, 'select 1 as one')).toEqual([{ one: 1 }]);
    } finally {
      holder.close();
    }
  });

  test('refuses data of another major version and says what to do', async () => {
    mkdirSync(path.join(folder, 'old'));
    writeFileSync(path.join(folder, 'old', 'PG_VERSION'), '16\n');
    await expect(start('old')).rejects.toThrow(
      'was made by PostgreSQL 16, and this is 18: start with --fresh',
    );
  });
});
