import { Validator } from '@seriousme/openapi-schema-validator';
import openapiTypeScript, { astToString } from 'openapi-typescript';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { declaredResources } from '../functions/declared-resources.ts';
import { PERMISSIONS } from '../shared/platform/auth/permissions.ts';
import { readApiDocument } from './harness/api-document.ts';
import { startBillingApp } from './harness/billing-app.ts';
import { takeTour } from './harness/tour.ts';

const { app } = await startBillingApp({ webhooks: false });
const { document, operations, findFaults } = await readApiDocument(app);

/** The routes of the contract, with their methods. */
const ROUTES = [
  'GET /api/health/live',
  'GET /api/health/ready',
  'GET /api/openapi.json',
  'GET /api/docs',
  'POST /api/v1/orchestrations',
  'POST /api/v1/orchestrations/batch',
  'POST /api/v1/orchestrations/{request_id}/detector-results',
  'PUT /api/v1/orchestrations/{request_id}/response',
  'GET /api/v1/orchestrations',
  'GET /api/v1/orchestrations/{request_id}',
  'GET /api/v1/jobs/{job_id}',
  'POST /api/v1/jobs/{job_id}/cancel',
  'POST /api/v1/mappings',
  'POST /api/v1/mappings/batch',
  'PUT /api/v1/mappings/{request_id}/response',
  'GET /api/v1/mappings',
  'GET /api/v1/mappings/{request_id}',
  'GET /api/v1/records',
  'GET /api/v1/records/{id}',
  'GET /api/v1/records/{id}/source',
  'POST /api/v1/analyses',
  'POST /api/v1/analyses/batch',
  'PUT /api/v1/analyses/{request_id}/response',
  'POST /api/v1/analyses/{request_id}/fallback',
  'GET /api/v1/analyses',
  'GET /api/v1/analyses/{request_id}',
  'POST /api/v1/analysis-metrics',
  'GET /api/v1/analysis-metrics',
  ...[
    ['routing-plans', 'id', 'DELETE'],
    ['detector-configs', 'id', 'DELETE'],
    ['analysis-templates', 'id', 'DELETE'],
    ['taxonomy-labels', 'id', 'DELETE'],
    ['compliance-mappings', 'id', 'DELETE'],
    ['model-versions', 'id', 'DELETE'],
    ['platform/billing/plans', 'plan_id', 'DELETE'],
    ['platform/billing/promotional-codes', 'code', 'DELETE'],
    ['data-retention-policies', 'policy_id', 'DELETE'],
  ].flatMap(([name, id]) => [
    `POST /api/v1/${name}`,
    `GET /api/v1/${name}`,
    `GET /api/v1/${name}/{${id}}`,
    `PUT /api/v1/${name}/{${id}}`,
    `DELETE /api/v1/${name}/{${id}}`,
  ]),
  'POST /api/v1/legal-holds',
  'GET /api/v1/legal-holds',
  'GET /api/v1/legal-holds/{hold_id}',
  'POST /api/v1/legal-holds/{hold_id}/release',
  'GET /api/v1/tenant-config',
  'PUT /api/v1/tenant-config',
  'GET /api/v1/lineage/{kind}/{id}',
  'GET /api/v1/audit-logs',
  'GET /api/v1/audit-logs/{id}',
  'GET /api/v1/usage',
  'GET /api/v1/billing/plans',
  'GET /api/v1/billing/subscription',
  'POST /api/v1/billing/checkout-sessions',
  'POST /api/v1/billing/portal-sessions',
  'POST /api/v1/billing/subscription/cancel',
  'POST /api/v1/billing/subscription/resume',
  'POST /api/v1/billing/subscription/change',
  'POST /api/v1/billing/subscription/change/preview',
  'GET /api/v1/billing/invoices',
  'GET /api/v1/billing/invoices/{invoice_id}',
  'GET /api/v1/billing/payments',
  'GET /api/v1/billing/payment-methods',
  'GET /api/v1/billing/upcoming-invoice',
  'POST /api/v1/billing/promotional-codes/validate',
  'GET /api/v1/usage-metrics',
  'GET /api/v1/usage-metrics/{id}',
  'POST /api/v1/performance-metrics',
  'GET /api/v1/performance-metrics',
  'GET /api/v1/performance-metrics/{id}',
  'POST /api/v1/api-keys',
  'GET /api/v1/api-keys',
  'POST /api/v1/api-keys/{key_id}/rotate',
  'DELETE /api/v1/api-keys/{key_id}',
  'POST /api/v1/platform/tenants',
  'GET /api/v1/platform/tenants',
  'POST /api/v1/webhooks/stripe',
  'GET /api/v1/platform/billing/events',
  'GET /api/v1/platform/billing/events/{event_id}',
  'POST /api/v1/platform/billing/events/{event_id}/replay',
  'GET /api/v1/platform/billing/mismatches',
  'GET /api/v1/platform/quarantine',
  'POST /api/v1/platform/quarantine/{id}/replay',
  'GET /api/v1/platform/jobs',
  'POST /api/v1/platform/jobs/{job}/runs',
];

/** In the order of use: writes of services, reads, settings, operation. */
const GROUPS = [
  'orchestrations',
  'mappings',
  'records',
  'analyses',
  'analysis-metrics',
  'lineage',
  'audit',
  'usage',
  'billing',
  'async-orchestrations',
  ...declaredResources.map(({ name }) => name),
  'tenant-config',
  'api-keys',
  'auth',
  'me',
  'users',
  'roles',
  'invitations',
  'platform',
  'health',
  'documentation',
];

const PUBLIC = [
  'auth-email-verifications-confirm',
  'auth-email-verifications-create',
  'auth-password-resets-confirm',
  'auth-password-resets-create',
  'auth-sessions-create',
  'billing-plans-list',
  'docs-read',
  'docs-script-read',
  'health-live',
  'health-ready',
  'invitations-accept',
  'openapi-read',
  'status-read',
  'stripe-webhook',
];

describe('the API’s description', () => {
  it('is valid OpenAPI 3.1', async () => {
    const result = await new Validator().validate(structuredClone(document));
    expect(result.errors ?? []).toEqual([]);
    expect([result.valid, document.openapi.slice(0, 3)]).toEqual([true, '3.1']);
  });

  it('lists every route of the contract', () => {
    const listed = operations.map(({ method, path }) => `${method} ${path}`);
    expect(ROUTES.filter((route) => !listed.includes(route))).toEqual([]);
  });

  it('lists every HTTP function that the host serves, and no other', () => {
    const served = app.host.functions
      .filter(({ type, name }) => type === 'httpTrigger' && name !== 'requests-fallback')
      .flatMap(({ name, route, methods = [] }) =>
        methods
          // Served wherever GET is, and not listed separately.
          .filter((method) => method !== 'HEAD')
          .map((method) => `${name}: ${method} /${route ?? ''}`),
      );
    const listed = operations.map(({ id, method, path }) => `${id}: ${method} ${path}`);
    expect(listed.sort()).toEqual(served.sort());
  });

  it('generates client types that compile', async () => {
    const source = astToString(await openapiTypeScript(structuredClone(document)));
    const { diagnostics } = ts.transpileModule(source, { reportDiagnostics: true });
    expect(diagnostics).toEqual([]);
    for (const { id } of operations) expect(source).toContain(`"${id}": {`);
  });

  it('begins with a getting-started whose requests work', async () => {
    const description: string = document.info.description;
    const example = /-d '(\{[^]*?\})'/.exec(description)?.[1];
    const made = await app.request('POST', '/api/v1/mappings', {
      key: app.keys.acme.writer,
      raw: example ?? '',
    });
    expect(made.status).toBe(201);
    for (const [, path] of description.matchAll(/"\$API(\/(?:records|usage)[^"]*)"/g))
      expect([
        path,
        (await app.request('GET', `/api/v1${path}`, { key: app.keys.acme.reader })).status,
      ]).toEqual([path, 200]);
  });

  it('is shown on a page without other sites’ assistants, tools, clients or links', async () => {
    const page = await app.request('GET', '/api/docs');
    const configuration = JSON.parse(/data-configuration='([^']+)'/.exec(page.body)?.[1] ?? '') as {
      customCss?: string;
    };
    expect(configuration).toMatchObject({
      agent: { disabled: true },
      showDeveloperTools: 'never',
      hideClientButton: true,
      telemetry: false,
      withDefaultFonts: false,
    });
    // Links that the page's script adds and that cannot be switched off must be hidden, by a part of their address.
    const rule = /^a\[href\*="(\w+)"\] \{ display: none !important; \}$/.exec(configuration.customCss ?? '');
    const hidden = rule?.[1] ?? '';
    expect(hidden).not.toBe('');
    const { body: script } = await app.request('GET', '/api/docs/scalar.js');
    const links = [...String(script).matchAll(/\bhref:\s*"((?:https?:|mailto:)[^"]+)"/g)].map(
      ([, to = '']) => to,
    );
    expect(links).toContain('https://www.scalar.com');
    expect(links.filter((to) => !to.includes(hidden))).toEqual([]);
  });

  it('has the address for clients', () => {
    expect(document.servers).toEqual([{ url: app.baseUrl }]);
  });
});

describe('every operation', () => {
  it('has a unique name, a summary, and a declared tag', () => {
    expect(new Set(operations.map(({ id }) => id)).size).toBe(operations.length);
    expect(operations.filter(({ summary }) => summary.length <= 5)).toEqual([]);
    const tags = new Set(document.tags.map((tag: { name: string }) => tag.name));
    expect(operations.filter((operation) => !operation.tags.every((tag) => tags.has(tag)))).toEqual([]);
  });

  it('is in a group with a description of two sentences, and groups are in the order of use', () => {
    const groups: { name: string; description?: string }[] = document.tags;
    const wordless = groups.filter(({ description = '' }) => description.match(/[.!](?= |$)/g)?.length !== 2);
    expect(wordless).toEqual([]);
    const names = groups.map(({ name }) => name);
    expect(names).toEqual(GROUPS);
    expect(new Set(names)).toEqual(new Set(operations.flatMap(({ tags }) => tags)));
  });

  it('names its credential and permission, unless it is public', () => {
    const isPublic = operations.filter(({ security }) => security?.length === 0);
    expect(isPublic.map(({ id }) => id).sort()).toEqual(PUBLIC);
    expect(document.security).toEqual([{ bearer: [] }, { apiKey: [] }, { session: [] }]);
    const secured = operations.filter((operation) => !isPublic.includes(operation));
    expect(secured.filter(({ security }) => security !== undefined)).toEqual([]);
    const permissions: readonly (string | null)[] = [...PERMISSIONS, 'authenticated', 'person'];
    expect(secured.filter(({ permission }) => !permissions.includes(permission))).toEqual([]);
  });

  it('declares each parameter of its path', () => {
    for (const { id, path, parameters } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      const declared = parameters.filter((parameter) => parameter.in === 'path');
      expect([id, declared.map(({ name, required }) => [name, required])]).toEqual([
        id,
        inPath.map((name) => [name, true]),
      ]);
    }
  });

  it('documents every refusal that it can answer', () => {
    for (const { id, method, path, body, responses } of operations) {
      const wanted = PUBLIC.includes(id)
        ? [500]
        : [
            ...[400, 401, 403, 429, 500, 503],
            ...(path.includes('{') ? [404] : []),
            ...(body === undefined ? [] : [413, 415]),
            ...(method === 'GET' ? [] : [402, 409]),
            ...(method === 'POST' ? [422] : []),
          ];
      const told = wanted.map((status) => [status, responses.get(status)?.contentType]);
      expect([id, told]).toEqual([id, wanted.map((status) => [status, 'application/problem+json'])]);
    }
  });

  it('documents its successful answers', () => {
    for (const { id, responses } of operations) {
      const good = [...responses].filter(([status]) => status < 300);
      expect([id, good.length > 0]).toEqual([id, true]);
      for (const [status, { contentType, schema }] of good) {
        if (status === 204) expect([id, contentType]).toEqual([id, undefined]);
        else if (contentType === 'application/json')
          expect([id, Object.keys(schema ?? {}).length > 0]).toEqual([id, true]);
        else expect([...PUBLIC, 'platform-metrics-read']).toContain(id);
      }
    }
  });
});

describe('what the API answers', () => {
  it('fits the description, for every operation', async () => {
    const stops = await takeTour(app);
    const byId = new Map(operations.map((operation) => [operation.id, operation]));
    for (const { operation, expected, answer } of stops) {
      const known = byId.get(operation);
      if (known === undefined) throw new Error(`${operation} is not described`);
      expect([operation, answer.status, answer.status === expected ? '' : answer.body]).toEqual([
        operation,
        expected,
        '',
      ]);
      expect([operation, findFaults(known, answer)]).toEqual([operation, []]);
    }
    const visited = new Set(stops.map(({ operation }) => operation));
    expect(operations.filter(({ id }) => !visited.has(id)).map(({ id }) => id)).toEqual([]);
  });

  it('is detected if it does not fit', () => {
    const read = operations.find(({ id }) => id === 'usage-read');
    if (read === undefined) throw new Error('usage-read is not described');
    const answer = (status: number, type: string, body: unknown) =>
      findFaults(read, { status, body, headers: new Headers({ 'content-type': type }) });
    expect(answer(418, 'application/json', {})).toEqual(['418 is not documented']);
    expect(answer(200, 'text/plain', '')).toEqual(['content type text/plain']);
    expect(answer(200, 'application/json', { items: 7 })).not.toEqual([]);
    expect(answer(404, 'application/problem+json', {})).not.toEqual([]);
  });
});

describe('the documentation page', () => {
  it('loads nothing from elsewhere', async () => {
    const page = await app.request('GET', '/api/docs');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const links = [...String(page.body).matchAll(/\b(?:src|href|data-url)="([^"]*)"/g)].map(
      (match) => match[1] ?? '',
    );
    expect(links).toEqual(['./openapi.json', './docs/scalar.js']);
    expect(page.body).not.toMatch(/https?:\/\//);
    expect(page.body).toContain('"withDefaultFonts": false');
    expect(page.body).toContain('"telemetry": false');
  });

  it('gets its script from the build, cached by its ETag', async () => {
    const script = await app.request('GET', '/api/docs/scalar.js');
    expect(script.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(String(script.body).length).toBeGreaterThan(100_000);
    const etag = script.headers.get('etag') ?? '';
    const again = await app.request('GET', '/api/docs/scalar.js', { headers: { 'if-none-match': etag } });
    expect([again.status, again.body]).toEqual([304, '']);
  });
});
