import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { packageApp } from '../../tools/deploy/package-app.ts';
import { firstOfMonth, prepare, readDeployer } from '../../tools/deploy/prepare.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'comply-prepare-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const OID = '00000000-0000-0000-0000-00000000000a';
const tokenOf = (claims: object): string =>
  `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`;
const person = tokenOf({ oid: OID, idtyp: 'user', upn: 'ada@example.com' });
const tokens = (token: string) => () => Promise.resolve(token);

test('who deploys is read from their token', () => {
  expect(readDeployer(person, undefined)).toEqual({
    AZURE_PRINCIPAL_ID: OID,
    AZURE_PRINCIPAL_NAME: 'ada@example.com',
    AZURE_PRINCIPAL_TYPE: 'User',
  });
  const pipeline = tokenOf({ oid: OID, idtyp: 'app', appid: OID });
  expect(() => readDeployer(pipeline, undefined)).toThrow('azd env set AZURE_PRINCIPAL_NAME');
  expect(readDeployer(pipeline, 'pipeline')).toMatchObject({
    AZURE_PRINCIPAL_NAME: 'pipeline',
    AZURE_PRINCIPAL_TYPE: 'ServicePrincipal',
  });
});

test('the environment’s parameter file is where azd looks, and what it needs is noted once', async () => {
  for (const name of ['dev', 'prod']) writeFileSync(path.join(folder, `${name}.bicepparam`), name);
  const environment: Record<string, string> = {
    DEPLOYMENT_ENVIRONMENT: 'prod',
    ALERT_EMAILS: 'a@example.com',
  };
  const noted: string[] = [];
  const run = (now: string): Promise<void> =>
    prepare(
      environment,
      tokens(person),
      (name, value) => {
        noted.push(name);
        environment[name] = value;
        return Promise.resolve();
      },
      new Date(now),
      folder,
    );
  await run('2026-12-15T10:00:00Z');
  expect(readFileSync(path.join(folder, 'main.bicepparam'), 'utf8')).toBe('prod');
  expect(noted.sort()).toEqual([
    'AZURE_PRINCIPAL_ID',
    'AZURE_PRINCIPAL_NAME',
    'AZURE_PRINCIPAL_TYPE',
    'BUDGET_START_DATE',
  ]);
  environment['DEPLOYMENT_ENVIRONMENT'] = 'dev';
  await run('2027-03-01T00:00:00Z');
  expect(readFileSync(path.join(folder, 'main.bicepparam'), 'utf8')).toBe('dev');
  expect([noted.length, environment['BUDGET_START_DATE']]).toEqual([4, '2026-12-01']);
  expect(firstOfMonth(new Date('2026-01-31T23:59:59Z'))).toBe('2026-01-01');
});

test('what is missing is told before anything is made', async () => {
  const set = (): Promise<void> => Promise.reject(new Error('noted something'));
  await expect(prepare({}, tokens(person), set, new Date(), folder)).rejects.toThrow(
    /azd env set DEPLOYMENT_ENVIRONMENT dev[^]*azd env set ALERT_EMAILS/,
  );
});

test('the package has the bundle and nothing to install, and what .funcignore leaves out is not in it', async () => {
  const made = path.join(folder, 'package');
  await packageApp(made);
  expect(readdirSync(made).sort()).toEqual(['dist', 'host.json', 'package.json']);
  const manifest = z
    .record(z.string(), z.unknown())
    .parse(JSON.parse(readFileSync(path.join(made, 'package.json'), 'utf8')));
  expect(Object.keys(manifest).sort()).toEqual(['main', 'name', 'private', 'type', 'version']);
  expect(existsSync(path.join(made, String(manifest['main'])))).toBe(true);
  const files = readdirSync(path.join(made, 'dist'), { recursive: true, encoding: 'utf8' });
  expect(files.filter((file) => file.endsWith('.map'))).toEqual([]);
  const bytes = files.map((file) => statSync(path.join(made, 'dist', file)).size).reduce((a, b) => a + b, 0);
  expect(bytes).toBeLessThan(20_000_000);
});

test('azure.yaml names steps that exist, and the folder that the package step makes', () => {
  const text = readFileSync(path.join(ROOT, 'azure.yaml'), 'utf8');
  const steps = [...text.matchAll(/npm run deploy -- ([\w-]+)/g)].map(([, step]) => step ?? '');
  const usage = readFileSync(path.join(ROOT, 'tools/deploy/main.ts'), 'utf8');
  expect(steps.length).toBeGreaterThanOrEqual(5);
  for (const step of steps) expect(usage).toContain(`case '${step}':`);
  expect(text).toContain('project: .local/package');
  expect(usage + readFileSync(path.join(ROOT, 'tools/deploy/package-app.ts'), 'utf8')).toContain(
    '.local/package',
  );
  // Provisioned twice: the certificate's vault, then the gateway.
  expect(text.match(/- azd: provision/g)).toHaveLength(2);
});

test.each(['azure.yaml', 'bicep/', 'tools/', 'tests/', 'migrations/', 'package-lock.json'])(
  '%s is not deployed',
  (entry) => {
    expect(readFileSync(path.join(ROOT, '.funcignore'), 'utf8').split('\n')).toContain(entry);
  },
);
