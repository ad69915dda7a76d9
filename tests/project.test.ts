import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, globSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { figureRows, quotedRows, resultsSchema } from '../bench/quote-figures.ts';
import { declaredResources } from '../functions/declared-resources.ts';
import { AUDIT_RECORDED, USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import { QUEUES } from '../shared/platform/bus/queues.ts';
import { NODE_ARGUMENTS } from '../dev/stack/start-host-child.ts';
import { readSettings, SettingsError, settingsSchema } from '../shared/platform/config/settings.ts';
import { askForPart } from './harness/ask.ts';

const ROOT = path.join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const files = (pattern: string): string[] => globSync(pattern, { cwd: ROOT }).sort();
const scripts = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(read('package.json'))).scripts;

describe('local.settings.sample.json', () => {
  const sample = z
    .object({ IsEncrypted: z.literal(false), Values: z.record(z.string(), z.string()) })
    .parse(JSON.parse(read('local.settings.sample.json'))).Values;
  /** The Functions host's own. */
  const HOSTS = ['FUNCTIONS_WORKER_RUNTIME', 'AzureWebJobsStorage'];

  it('names every setting that the app reads, and no other', () => {
    expect(Object.keys(sample).sort()).toEqual([...Object.keys(settingsSchema.shape), ...HOSTS].sort());
  });

  it('contains no secret: secrets are placeholders, and the app refuses the file unchanged', () => {
    const secret = /PASSWORD|KEY|PEPPER|SECRET|CONNECTION$|_URL$|AzureWebJobsStorage/i;
    const open = Object.entries(sample).filter(
      ([name, value]) => secret.test(name) && value !== '' && !value.includes('<'),
    );
    expect(open).toEqual([['KEY_ENCRYPTION_SECRET_NAME', 'key-encryption-key']]);
    expect(() => readSettings(sample)).toThrow(SettingsError);
  });

  it('has all that the app needs when it is filled in', () => {
    const filled = Object.fromEntries(
      Object.entries(sample).map(([name, value]) => [
        name,
        value
          .replace('<at least 32 random characters>', 'x'.repeat(32))
          .replace('<32 random bytes, base64>', Buffer.alloc(32, 1).toString('base64'))
          .replaceAll(/<[^>]+>/g, 'filled'),
      ]),
    );
    expect(readSettings(filled)).toMatchObject({ DEPLOYMENT_ENVIRONMENT: 'local', DATABASE_POOL_MAX: 8 });
  });
});

describe('the documented commands', () => {
  const documents = ['README.md', 'CONTRIBUTING.md', ...files('docs/**/*.md')];

  it('are, in the README’s quick start, one to run and one to test', () => {
    const [, block = ''] = /## Quick start[^]*?```sh\n([^]*?)```/.exec(read('README.md')) ?? [];
    expect(block.trim().split('\n')).toEqual(['npm ci && npm start', 'npm ci && npm test']);
    expect(scripts).toMatchObject({ start: expect.any(String), test: expect.any(String) });
  });

  it('are the ones that CI runs', () => {
    accessSync(path.join(ROOT, '.ci/run'), constants.X_OK);
    const run = read('.ci/run').split('\n');
    expect(run).toContain('npm test');
    expect(run.some((line) => line.startsWith('npm ci'))).toBe(true);
    for (const part of ['format', 'types', 'lint']) expect(run).toContain(`npm run ${part}`);
  });

  it.each(documents)('exist: %s', (document) => {
    const named = [...read(document).matchAll(/npm run ([\w:-]+)/g)].map((match) => match[1] ?? '');
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
    const started = Object.values(scripts).flatMap((script) => [...script.matchAll(/node (\S+\.ts)/g)]);
    expect(
      started.map((match) => match[1] ?? '').filter((file) => !existsSync(path.join(ROOT, file))),
    ).toEqual([]);
  });

  it.each(documents)('have links to existing documents only: %s', (document) => {
    const links = [...read(document).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map((match) => match[1] ?? '');
    const folder = path.dirname(path.join(ROOT, document));
    expect(links.filter((link) => !existsSync(path.join(folder, link)))).toEqual([]);
  });
});

describe('the documented paths', () => {
  const documents = files('{*,{docs,dev,functions,migrations,shared,tests,tools,bench}/**/*}.md');
  /** Texts that look like a path. */
  const NO_PATHS = new Set(['application/json']);
  /** Files that are made on a machine. */
  const MADE = /^(dist|\.local)\/|^local\.settings\.json$/;

  /** Whether a text in backticks is a path: it ends in a slash or a file's extension, or has a slash between plain names. */
  function isPath(text: string): boolean {
    if (NO_PATHS.has(text) || MADE.test(text)) return false;
    return /^[\w.<>*-]+(\/[\w.<>*-]+)*\/$|^([\w.<>*-]+\/)*[\w<>*-]+(\.[\w-]+)*\.(ts|js|json|md|sql)$|^\.?\w[\w.<>*-]*(\/[\w.<>*-]+)+$/.test(
      text,
    );
  }

  it('are found in every document', () => {
    expect(documents).toEqual(expect.arrayContaining(['README.md', 'shared/platform/writes/README.md']));
    expect(
      ['a/b.ts', 'a/<name>/b.ts', 'a/**', 'a/', 'b.ts', '.ci/run'].filter((text) => !isPath(text)),
    ).toEqual([]);
    expect(['call.tenant', 'npm run lint', '/usage', '@azure/functions', '.test.ts'].filter(isPath)).toEqual(
      [],
    );
  });

  // Relative to the root, to the document, or to shared/; `<…>` is any name.
  it.each(documents)('exist: %s', (document) => {
    const prose = read(document).replace(/```[^]*?```/g, '');
    const named = new Set([...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? '').filter(isPath));
    const roots = ['', path.dirname(document), 'shared'];
    const missing = [...named].filter((name) => {
      const pattern = name.replaceAll(/<[^>]+>/g, '*');
      return roots.every((root) => files(path.posix.join(root, pattern)).length === 0);
    });
    expect(missing).toEqual([]);
  });
});

describe('the documented timers and queues', () => {
  it('are all jobs, with what each does', () => {
    const jobs = files('functions/timer/*.ts').map((file) => path.basename(file, '.ts'));
    const [, section = ''] = /## Jobs\n([^]*?)\n## /.exec(read('docs/operations.md')) ?? [];
    const rows = [...section.matchAll(/^\| `([\w-]+)`/gm)].map((match) => match[1] ?? '');
    expect(rows.sort()).toEqual(jobs);
  });

  it('are all queues, and the types of event that other services may send', () => {
    const events = read('docs/events.md');
    const [, section = ''] = /## The queues\n([^]*)/.exec(events) ?? [];
    const rows = [...section.matchAll(/^\| `([\w-]+)`/gm)].map((match) => match[1] ?? '');
    expect(rows.sort()).toEqual(QUEUES.map(({ name }) => name).sort());
    const types = [USAGE_RECORDED, AUDIT_RECORDED];
    expect(types.filter((type) => !events.includes(`type \`${type}\``))).toEqual([]);
  });
});

describe('the documented figures', () => {
  const results = resultsSchema.parse(JSON.parse(read('bench/results.json')));

  it.each([
    ['README.md', true],
    ['docs/performance.md', false],
  ] as const)('in %s are those that the benches measured', (document, withTarget) => {
    expect(quotedRows(read(document))).toEqual(figureRows(results, withTarget));
  });

  it('are all that have a target, each in the same run as its baseline', () => {
    const benches = new Set(results.figures.filter(({ target }) => target).map(({ bench }) => bench));
    expect(benches).toEqual(
      new Set([
        'write',
        'stripe-events',
        'tail',
        'cold-start',
        'read',
        'credentials',
        'far-page',
        'expiry',
        'events',
      ]),
    );
    for (const { name, candidate, baseline, ratios } of results.figures)
      expect([name, candidate.values.length, baseline.values.length]).toEqual([
        name,
        ratios.length,
        ratios.length,
      ]);
  });
});

describe('docs/operations.md', () => {
  it("gives Node the arguments of the development host, in the name of Azure's setting", () => {
    expect(read('docs/operations.md')).toContain(
      `\`languageWorkers__node__arguments\` = \`${NODE_ARGUMENTS.join(' ')}\``,
    );
  });
});

describe('functions/', () => {
  const sources = files('functions/**/*.ts');

  it('contains no SQL', () => {
    const sql = /\bselect\b[^;]*\bfrom\b|\binsert\s+into\b|\bupdate\s+\w+\s+set\b|\bdelete\s+from\b/i;
    expect(sources.filter((file) => sql.test(read(file)))).toEqual([]);
  });

  it('is imported completely by its entry', () => {
    const entry = read('functions/main.ts') + read('functions/timers.ts');
    expect(entry).toContain(`import { timers } from './timers.ts'`);
    const imported = [...entry.matchAll(/from '\.\/((?:http|queue|timer)\/[^']+)'/g)].map(
      (match) => `functions/${match[1]}`,
    );
    expect(sources.filter((file) => file.split('/').length > 2 && !file.endsWith('.test.ts'))).toEqual(
      imported.sort(),
    );
  });

  it('catches no errors and builds no answers: one wrapper does', () => {
    const byHand = /\btry\s*\{|\.catch\(|status:\s*5\d\d\b(?!.*retry-after)/;
    const allowed = new Set(['functions/http/health.ts']);
    expect(sources.filter((file) => !allowed.has(file) && byHand.test(read(file)))).toEqual([]);
  });
});

describe('shared/', () => {
  const sources = files('shared/**/*.ts').filter((file) => !file.endsWith('.test.ts'));

  it('declares no resource that the app does not serve', () => {
    const declared = sources.flatMap((file) =>
      [...read(file).matchAll(/declareResource\(\{[^]*?\bname: '([\w-]+)'/g)].map((match) => match[1] ?? ''),
    );
    expect(declared.sort()).toEqual(declaredResources.map(({ name }) => name).sort());
  });
  const withSql = (sql: RegExp): string[] => sources.filter((file) => sql.test(read(file)));

  it('inserts into an outbox in one place, which all writes use', () => {
    expect(withSql(/insert\s+into\s+ops\.outbox/i)).toEqual(['shared/platform/writes/outbox.ts']);
    expect(read('shared/platform/writes/outbox.ts').match(/insert\s+into\s+ops\.outbox/gi)).toHaveLength(1);
    expect(withSql(/(from|into|update)\s+ops\.outbox/i)).toEqual(['shared/platform/writes/outbox.ts']);
  });

  it('has one implementation of idempotency keys: their locks, claims and answers', () => {
    expect(withSql(/(from|into|update)\s+ops\.idempotency/i)).toEqual([
      'shared/platform/writes/idempotency.ts',
    ]);
    expect(read('shared/platform/writes/idempotency.ts').match(/into\s+ops\.idempotency/gi)).toHaveLength(1);
  });
});

/** Every Node.js on this machine that must run the app: this one, and others on the PATH with version 20 or later. */
async function findNodes(): Promise<[version: string, file: string][]> {
  const onPath = (process.env['PATH'] ?? '').split(path.delimiter).map((folder) => path.join(folder, 'node'));
  const found = new Map<string, string>();
  for (const file of new Set([
    process.execPath,
    ...onPath.filter(existsSync).map((file) => realpathSync(file)),
  ])) {
    const version = await promisify(execFile)(file, ['--version']).then(
      ({ stdout }) => stdout.trim(),
      () => '',
    );
    if (Number(/^v(\d+)/.exec(version)?.[1] ?? 0) >= 20 && !found.has(version)) found.set(version, file);
  }
  return [...found];
}

/** Loads the bundle like Azure's worker, without any setting, and prints what it registered. */
const LOADER = `
import Module from 'node:module';
import { pathToFileURL } from 'node:url';
const functions = [];
const core = {
  version: '3.0.0', hostVersion: '4.0.0', log() {}, setProgrammingModel() {}, getProgrammingModel() {},
  registerHook: () => ({ dispose() {} }),
  registerFunction(metadata) { functions.push(metadata); return { dispose() {} }; },
};
const load = Module.prototype.require;
Module.prototype.require = function (id) {
  return id === '@azure/functions-core' ? core : load.call(this, id);
};
await import(pathToFileURL(process.argv[1]).href);
console.log(JSON.stringify(functions));
process.exit(0);
`;

const registered = z.array(
  z.object({
    name: z.string(),
    bindings: z.record(
      z.string(),
      z.object({ type: z.string(), route: z.string().optional(), authLevel: z.string().optional() }),
    ),
  }),
);

describe('the bundle', async () => {
  const { dir } = await askForPart('app');
  const main = path.join(dir, 'dist/main.js');
  const load = async (node: string): Promise<z.output<typeof registered>> => {
    const environment = { PATH: process.env['PATH'] };
    const { stdout } = await promisify(execFile)(node, ['--input-type=module', '-e', LOADER, main], {
      env: environment,
    });
    return registered.parse(JSON.parse(stdout));
  };
  const nodes = await findNodes();

  it.each(nodes)(
    'loads under Node.js %s and registers every function, without a setting',
    async (_version, node) => {
      const functions = await load(node);
      const triggers = functions.map(({ bindings }) =>
        Object.values(bindings).find(({ type }) => /Trigger$/i.test(type)),
      );
      const kinds = new Set(triggers.map((trigger) => trigger?.type));
      expect(kinds).toEqual(new Set(['httpTrigger', 'serviceBusTrigger', 'timerTrigger']));
      expect(functions.length).toBeGreaterThan(80);
    },
  );

  it('has no function or route with a name that Azure reserves', async () => {
    const functions = await load(process.execPath);
    const routes = functions.flatMap(({ bindings }) =>
      Object.values(bindings).flatMap(({ route }) => route ?? []),
    );
    expect(routes.length).toBeGreaterThan(50);
    const kept = /^\/?(admin|runtime)/i;
    expect([...routes, ...functions.map(({ name }) => name)].filter((name) => kept.test(name))).toEqual([]);
    // A function's name: letters, digits, - and _, a letter first, 127 at the most.
    expect(functions.filter(({ name }) => !/^[A-Za-z][\w-]{0,126}$/.test(name))).toEqual([]);
  });

  it('is beside all files that it reads', () => {
    for (const file of ['dist/main.js', 'dist/scalar.js', 'host.json', 'package.json'])
      expect([file, existsSync(path.join(dir, file))]).toEqual([file, true]);
  });
});
