import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { QUEUES } from '../shared/platform/bus/queues.ts';
import { PUBLIC_CHECKS } from '../tools/doctor/checks.ts';
import { examine } from '../tools/doctor/examine.ts';
import { readGiven } from '../tools/doctor/given-settings.ts';
import { Patient } from '../tools/doctor/patient.ts';
import { startTestApp } from './harness/app.ts';
import { makeAuthority, type Certified } from './harness/certificates.ts';
import { findingsOf, runDoctor, wrongOf, type DoctorReport } from './harness/doctor.ts';

// The doctor looks at the app from outside, through a server of TLS like a gateway.

const app = await startTestApp({ silent: ['timer', 'serviceBus'] });

const folder = mkdtempSync(path.join(tmpdir(), 'comply-doctor-'));
const authority = path.join(folder, 'authority.pem');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const trusted = makeAuthority('Comply test');
const HOSTS = ['localhost'];
/** The days for which most of the certificates here are valid. */
const DAYS = 400;
const VALID = trusted.certify({ name: 'localhost', hosts: HOSTS, days: [-1, DAYS] });
const EXPIRED = trusted.certify({ name: 'localhost', hosts: HOSTS, days: [-3, -2] });
writeFileSync(authority, trusted.certificate);

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** What the gateway does besides passing requests on. */
interface GatewayOptions {
  readonly certificate?: Certified;
  readonly tls?: https.ServerOptions;
  /** Answers a request itself. Returns false for one that is passed on. */
  readonly answers?: (request: http.IncomingMessage, response: http.ServerResponse) => boolean;
  /** Headers of answers that it adds, or removes with undefined. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Answers plain HTTP on the same port. */
  readonly plain?: Handler;
}

const HSTS = { 'strict-transport-security': 'max-age=31536000' };

function passOn(options: GatewayOptions): Handler {
  return (request, response) => {
    if (options.answers?.(request, response) === true) return;
    const up = http.request(
      new URL(request.url ?? '/', app.baseUrl),
      { headers: request.headers },
      (down) => {
        const headers = { ...down.headers, ...HSTS, ...options.headers };
        response.writeHead(
          down.statusCode ?? 502,
          Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)),
        );
        down.pipe(response);
      },
    );
    up.on('error', () => response.destroy());
    request.pipe(up);
  };
}

/** A gateway in front of the app. Returns its port. */
async function startGateway(options: GatewayOptions = {}): Promise<number> {
  const { certificate: cert, key } = options.certificate ?? VALID;
  const secure = https.createServer({ cert, key, ...options.tls }, passOn(options));
  const plain = options.plain === undefined ? undefined : http.createServer(options.plain);
  // The first byte of a TLS connection is 22.
  const door: Server =
    plain === undefined
      ? secure
      : createServer((socket) => {
          socket.once('readable', () => {
            const first = socket.read(1) as Buffer | null;
            if (first === null) return;
            socket.unshift(first);
            (first[0] === 22 ? secure : plain).emit('connection', socket);
          });
        });
  await new Promise<void>((resolve) => door.listen(0, resolve));
  onTestFinished(() => {
    door.close();
    secure.closeAllConnections();
    plain?.closeAllConnections();
  });
  return (door.address() as AddressInfo).port;
}

async function lookAt(port: number, ...args: string[]): Promise<{ report: DoctorReport; code: number }> {
  const trusted = args.length > 0 ? args : ['--ca', authority];
  const run = await runDoctor(['--url', `https://localhost:${port}`, '--json', ...trusted]);
  return { report: JSON.parse(run.stdout), code: run.code };
}

test('from outside, all is well', async () => {
  const { report, code } = await lookAt(await startGateway());
  expect(wrongOf(report), JSON.stringify(report)).toEqual([]);
  expect(code).toBe(0);
  expect(report.checks.map(({ name }) => name)).toEqual(PUBLIC_CHECKS.map(({ name }) => name));
  expect(report.subject).toMatch(/^https:\/\/localhost:\d+, from outside$/);
  expect(findingsOf(report, 'api-tls')[0]?.detail).toMatch(
    /^TLSv1\.3, certificate of Comply test until 20\d\d-\d\d-\d\d$/,
  );
  expect(findingsOf(report, 'api-old-tls')[0]?.result).toBe('ok');
  expect(findingsOf(report, 'api-plain-http')[0]?.result).toBe('ok');
  expect(findingsOf(report, 'api-health')[0]?.detail).toMatch(/ is (healthy|degraded)$/);
});

describe('certificates', () => {
  test.each([
    ['that is expired', { certificate: EXPIRED }, ['--ca', authority], /CERT_HAS_EXPIRED/],
    ['of an unknown authority', {}, ['--instances', '1'], /UNABLE_TO_VERIFY_LEAF_SIGNATURE/],
  ] as const)('one %s', async (_, options, args, reason) => {
    const { report, code } = await lookAt(await startGateway(options), ...args);
    expect(code).toBe(1);
    expect(findingsOf(report, 'api-tls')).toEqual([
      {
        result: 'problem',
        detail: expect.stringMatching(reason),
        do: expect.stringMatching(/^renew it, or correct its name or chain/),
      },
    ]);
    // What the connection would show is not guessed.
    expect(findingsOf(report, 'api-authentication')[0]?.result).toBe('not checked');
  });

  test('one of another name', async () => {
    const port = await startGateway();
    const run = await runDoctor(['--url', `https://127.0.0.1:${port}`, '--json', '--ca', authority]);
    expect(findingsOf(JSON.parse(run.stdout), 'api-tls')[0]?.detail).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  test.each([
    [10, 'warning'],
    [3, 'problem'],
  ] as const)('one that ends in %i days', async (days, result) => {
    const patient = new Patient({
      given: readGiven({}),
      url: `https://localhost:${await startGateway()}`,
      authorities: [trusted.certificate],
      clock: { now: () => new Date(Date.now() + (DAYS - days) * 24 * 3600_000 - 60_000) },
    });
    onTestFinished(() => patient.close());
    const [found] = await examine(
      PUBLIC_CHECKS.filter(({ name }) => name === 'api-tls'),
      patient,
    );
    expect(found?.findings).toEqual([
      {
        result,
        detail: expect.stringMatching(new RegExp(`: ${days} days$`)),
        do: expect.stringMatching(/^renew it/),
      },
    ]);
  });
});

test('TLS 1.0 and 1.1', async () => {
  const port = await startGateway({ tls: { minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' } });
  const { report } = await lookAt(port);
  expect(wrongOf(report)).toEqual(['api-old-tls']);
  expect(findingsOf(report, 'api-old-tls')[0]).toMatchObject({
    result: 'problem',
    detail: 'TLSv1 and TLSv1.1 accepted',
    do: expect.stringContaining('AppGwSslPolicy20220101S'),
  });
});

describe('plain HTTP', () => {
  test('that is answered', async () => {
    const { report } = await lookAt(await startGateway({ plain: passOn({}) }));
    expect(wrongOf(report)).toEqual(['api-plain-http']);
    expect(findingsOf(report, 'api-plain-http')[0]?.detail).toMatch(/^plain HTTP is answered with 200/);
  });

  test('that only redirects is well', async () => {
    const plain: Handler = (_, response) =>
      void response.writeHead(308, { location: 'https://localhost/' }).end();
    const { report } = await lookAt(await startGateway({ plain }));
    expect(wrongOf(report)).toEqual([]);
    expect(findingsOf(report, 'api-plain-http')[0]?.detail).toMatch(/only redirects to https \(308\)/);
  });
});

describe('what is in front of the API', () => {
  test('a gateway without a backend', async () => {
    const answers = (_: http.IncomingMessage, response: http.ServerResponse): boolean => {
      response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>502 Bad Gateway</h1>');
      return true;
    };
    const { report, code } = await lookAt(await startGateway({ answers }));
    expect(code).toBe(1);
    expect(wrongOf(report)).toEqual(['api-health', 'api-authentication', 'api-headers', 'api-status']);
    expect(findingsOf(report, 'api-health')[0]?.detail).toMatch(/answers 502, and not as this API does/);
  });

  test('one that lets everybody in, changes headers, and names its software', async () => {
    const port = await startGateway({
      answers: (request) => {
        if (request.url === '/api/v1/records') request.headers['x-api-key'] = app.keys.acme.reader;
        return false;
      },
      headers: {
        'strict-transport-security': undefined,
        'cache-control': 'public',
        'x-powered-by': 'ASP.NET',
      },
    });
    const { report } = await lookAt(port);
    expect(wrongOf(report)).toEqual(['api-authentication', 'api-headers']);
    expect(findingsOf(report, 'api-authentication')[0]?.detail).toMatch(/gets 200 instead of 401/);
    expect(findingsOf(report, 'api-headers').map(({ detail }) => detail)).toEqual([
      'no Strict-Transport-Security',
      'Cache-Control is not no-store: a proxy may keep answers',
      'x-powered-by names software',
    ]);
  });

  test('a dependency that the API cannot reach', async () => {
    const answers = (request: http.IncomingMessage, response: http.ServerResponse): boolean => {
      if (request.url !== '/api/health/ready') return false;
      const dependencies = [
        { name: 'core', status: 'unhealthy', latency_ms: null, detail: 'PostgreSQL 15 is not supported' },
        { name: 'blob', status: 'healthy', latency_ms: 3 },
      ];
      response
        .writeHead(503, { 'content-type': 'application/json', ...HSTS })
        .end(JSON.stringify({ status: 'unhealthy', checked_at: '2026-11-24T00:00:00Z', dependencies }));
      return true;
    };
    const { report } = await lookAt(await startGateway({ answers }));
    expect(wrongOf(report)).toEqual(['api-health']);
    expect(findingsOf(report, 'api-health')).toEqual([
      expect.objectContaining({
        result: 'problem',
        detail: 'the API says that core is unhealthy: PostgreSQL 15 is not supported',
      }),
    ]);
  });
});

/** A queue as the management API of Service Bus describes it. */
function atomOf(name: string, settings: string): string {
  return `<entry xmlns="http://www.w3.org/2005/Atom"><id>https://localhost/${name}</id><title type="text">${name}</title>
    <content type="application/xml"><QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">
    ${settings}<EnablePartitioning>false</EnablePartitioning><EnableBatchedOperations>true</EnableBatchedOperations>
    <DeadLetteringOnMessageExpiration>false</DeadLetteringOnMessageExpiration><EnableExpress>false</EnableExpress>
    </QueueDescription></content></entry>`;
}

test('the settings of the queues, from the management API', async () => {
  const asDeclared = `<LockDuration>PT5M</LockDuration><MaxSizeInMegabytes>1024</MaxSizeInMegabytes>
    <RequiresDuplicateDetection>true</RequiresDuplicateDetection><RequiresSession>false</RequiresSession>
    <DefaultMessageTimeToLive>P10675199DT2H48M5.4775807S</DefaultMessageTimeToLive>
    <DuplicateDetectionHistoryTimeWindow>PT10M</DuplicateDetectionHistoryTimeWindow>
    <MaxDeliveryCount>10</MaxDeliveryCount><Status>Active</Status>`;
  const byDefault = `<LockDuration>PT1M</LockDuration><MaxSizeInMegabytes>1024</MaxSizeInMegabytes>
    <RequiresDuplicateDetection>false</RequiresDuplicateDetection>
    <DuplicateDetectionHistoryTimeWindow>PT1M</DuplicateDetectionHistoryTimeWindow><RequiresSession>true</RequiresSession>
    <DefaultMessageTimeToLive>P14D</DefaultMessageTimeToLive><MaxDeliveryCount>3</MaxDeliveryCount><Status>Disabled</Status>`;
  const server = https.createServer({ cert: VALID.certificate, key: VALID.key }, (request, response) => {
    const name = new URL(request.url ?? '/', 'https://localhost').pathname.slice(1);
    const found = name === 'usage-events' ? byDefault : name === 'audit-events' ? undefined : asDeclared;
    response.writeHead(found === undefined ? 401 : 200, { 'content-type': 'application/atom+xml' });
    response.end(atomOf(name, found ?? ''));
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const file = path.join(folder, 'settings.json');
  writeFileSync(
    file,
    JSON.stringify({
      DEPLOYMENT_ENVIRONMENT: 'dev',
      AZURE_RESOURCE_GROUP: 'group-1',
      SERVICE_BUS_CONNECTION: `Endpoint=sb://localhost:${port};SharedAccessKeyName=n;SharedAccessKey=secret-of-the-bus`,
    }),
  );
  const run = await runDoctor(['--settings', file, '--json'], { NODE_EXTRA_CA_CERTS: authority });
  expect(run.stdout).not.toContain('secret-of-the-bus');
  const findings = findingsOf(JSON.parse(run.stdout), 'queue-settings');
  const update =
    'az servicebus queue update --resource-group group-1 --namespace-name localhost:' +
    `${port} --name usage-events`;
  expect(findings.map(({ result, detail, do: remedy }) => [result, detail, remedy])).toEqual([
    [
      'warning',
      'usage-events: locks last 60 s instead of 300: a slow batch is delivered twice',
      `${update} --lock-duration PT5M`,
    ],
    ['warning', expect.stringContaining('3 deliveries instead of 10'), `${update} --max-delivery-count 10`],
    ['warning', expect.stringContaining('no duplicate detection'), expect.stringContaining('make it again')],
    ['problem', 'usage-events needs sessions, which the app does not use', expect.stringContaining('delete')],
    ['problem', 'usage-events: messages are lost after 336 h', expect.stringContaining('P10675199D')],
    ['problem', 'usage-events is Disabled', `${update} --status Active`],
    ['not checked', expect.stringMatching(/^audit-events: the management API does not say/), undefined],
  ]);
  expect(QUEUES.map(({ name }) => name)).toContain('archive-records');
});
