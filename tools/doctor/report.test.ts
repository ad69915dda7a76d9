import { describe, expect, test } from 'vitest';
import { ok, problem, warning, type Check, type Finding } from './check.ts';
import { examine } from './examine.ts';
import { readGiven } from './given-settings.ts';
import { secretHider } from './hide-secrets.ts';
import { NotChecked } from './not-checked.ts';
import { Patient } from './patient.ts';
import { reportJson, reportTable } from './report.ts';

const patient = new Patient({ given: readGiven({}) });

function check(name: string, run: () => Promise<Finding | readonly Finding[]>): Check {
  return { name, group: 'settings', looksAt: `the ${name}`, run };
}

const as = (finding: Finding) => () => Promise.resolve(finding);
const HEAD = { subject: 'a test', at: new Date('2026-11-24T00:00:00Z'), ms: 1234 };
const plain = (text: string): string => text;

describe('an examination', () => {
  test('no check hides another one: not by hanging, by throwing, nor by what it throws', async () => {
    const checks = [
      check('hangs', () => new Promise(() => undefined)),
      check('throws', () => Promise.reject(new Error('no such thing\nand more'))),
      check('throws at once', () => {
        throw new TypeError('oh');
      }),
      check('throws a text', async () => {
        await Promise.resolve();
        // eslint-disable-next-line @typescript-eslint/only-throw-error
        throw 'oh';
      }),
      check('cannot see', () => Promise.reject(new NotChecked('it is dark', 'light'))),
      check('sees', as(ok('well'))),
    ];
    const start = performance.now();
    const examined = await examine(checks, patient, 200);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(
      examined.map(({ check: { name }, findings: [finding] }) => [name, finding?.result, finding?.detail]),
    ).toEqual([
      ['hangs', 'problem', 'no answer within 0.2 s'],
      ['throws', 'problem', 'the check failed: no such thing'],
      ['throws at once', 'problem', 'the check failed: oh'],
      ['throws a text', 'problem', 'the check failed: oh'],
      ['cannot see', 'not checked', 'it is dark'],
      ['sees', 'ok', 'well'],
    ]);
    expect(examined[4]?.findings).toEqual([{ result: 'not checked', detail: 'it is dark', do: 'light' }]);
  });
});

describe('a report', () => {
  const checks = [
    check('short', as(ok('well'))),
    check('a-longer-name', () =>
      Promise.resolve([warning('one', 'mend it'), problem('two\n  ok   forged', 'mend\u001b[2J it')]),
    ),
  ];

  test('is a table by group, aligned, each remedy under its finding, on lines of its own', async () => {
    const table = reportTable(await examine(checks, patient), HEAD, plain, false);
    expect(table).toBe(`a test

settings
  ok           short          well
  warning      a-longer-name  one
                              do: mend it
  problem                     two ok   forged
                              do: mend it

1 problem, 1 ok: 2 checks in 1.2 s
`);
  });

  test('has colours where they are wanted, and is aligned all the same', async () => {
    const examined = await examine(checks, patient);
    const table = reportTable(examined, HEAD, plain, true);
    expect(table).toContain('\u001b[31mproblem    \u001b[39m');
    expect(table.replaceAll(/\u001b\[\d+m/g, '')).toBe(reportTable(examined, HEAD, plain, false));
  });

  test('is JSON for machines', async () => {
    const report: unknown = JSON.parse(reportJson(await examine(checks, patient), HEAD, plain));
    expect(report).toMatchObject({
      subject: 'a test',
      checked_at: '2026-11-24T00:00:00.000Z',
      result: 'problem',
      checks: [
        { name: 'short', group: 'settings', looks_at: 'the short', result: 'ok' },
        { name: 'a-longer-name', result: 'problem', findings: [{ do: 'mend it' }, { result: 'problem' }] },
      ],
    });
  });

  test('has no secret, whatever a check says', async () => {
    const settings = {
      CORE_DATABASE_URL: 'postgres://comply_app:pass%2Fword@db.example.com/core?sslmode=verify-full',
      SERVICE_BUS_CONNECTION:
        'Endpoint=sb://bus.example.com;SharedAccessKeyName=n;SharedAccessKey=bus-key-0123456789=',
      BLOB_CONNECTION: 'AccountName=name;AccountKey=blob-key-0123456789==;EndpointSuffix=core.windows.net',
      API_KEY_PEPPER: 'pepper-0123456789',
      KEY_ENCRYPTION_KEYS: '{"current":"1","versions":{"1":"key-0123456789-key"}}',
      STRIPE_WEBHOOK_SECRETS: 'whsec_0123456789ab,whsec_ba9876543210',
      SOMETHING_ELSE: 'else-0123456789-else',
      KEY_VAULT_URL: 'https://vault-with-a-long-name.vault.azure.net',
    };
    const secrets = [
      'pass%2Fword',
      'pass/word',
      'bus-key-0123456789=',
      'blob-key-0123456789==',
      'pepper-0123456789',
      'key-0123456789-key',
      'whsec_0123456789ab',
      'whsec_ba9876543210',
      'else-0123456789-else',
      'admin-password',
    ];
    const hide = secretHider(settings, ['postgres://postgres:admin-password@db.example.com/core']);
    const leaky = check('leaky', as(problem(secrets.join(' '), secrets.join(' '))));
    const honest = check(
      'honest',
      as(ok('comply_app at db.example.com/core, vault-with-a-long-name, current versions')),
    );
    const examined = await examine([leaky, honest], patient);
    for (const text of [reportTable(examined, HEAD, hide, false), reportJson(examined, HEAD, hide)]) {
      for (const secret of secrets) expect(text).not.toContain(secret);
      expect(text).toContain('comply_app at db.example.com/core, vault-with-a-long-name, current versions');
    }
  });
});
