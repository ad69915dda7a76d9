import { beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { INSTRUMENTS, OTHER, type Instrument } from '../../shared/platform/telemetry/instruments.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import { until } from '../harness/app.ts';
import { startBillingApp } from '../harness/billing-app.ts';
import { openCollector, untilExported } from '../harness/telemetry.ts';
import { takeTour } from '../harness/tour.ts';

const collector = await openCollector();
const { app } = await startBillingApp({ settings: collector.settings });
const instruments: Readonly<Record<string, Instrument>> = INSTRUMENTS;

const readMetrics = async (): Promise<string> =>
  (await app.request('GET', '/api/v1/platform/metrics', { key: app.keys.operator })).body;

/** The series of a Prometheus text: name and labels to the value. Fails at a line that is not of the format. */
function seriesOf(text: string): Map<string, number> {
  const series = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of text.split('\n').slice(0, -1)) {
    const comment = /^# (HELP|TYPE|UNIT) ([a-z_]+) (.+)$/.exec(line);
    if (comment !== null) {
      if (comment[1] === 'TYPE') types.set(comment[2] ?? '', comment[3] ?? '');
      continue;
    }
    const sample =
      /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)*\})? (NaN|[+-]?Inf|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/.exec(
        line,
      );
    if (sample === null) throw new Error(`not a line of Prometheus text: ${line}`);
    const [, name = '', labels = '', value = ''] = sample;
    if (!types.has(name) && !types.has(name.replace(/_(bucket|sum|count)$/, '')))
      throw new Error(`${name} has no type`);
    const key = name + labels;
    if (series.has(key)) throw new Error(`${key} is there twice`);
    series.set(key, Number(value.replace('Inf', 'Infinity')));
  }
  return series;
}

beforeAll(() => untilExported(app, collector), 60_000);

describe('GET /platform/metrics', () => {
  it('counts what was done, and OTLP tells the same', async () => {
    const name = `mapper_requests_total{route="mappings-read",status_class="4xx"}`;
    const before = seriesOf(await readMetrics()).get(name) ?? 0;
    for (let n = 0; n < 3; n += 1)
      await app.request('GET', `/api/v1/mappings/${newId()}`, { key: app.keys.acme.reader });
    await app.request('GET', '/api/v1/mappings', { key: 'no-key' });
    const after = seriesOf(await readMetrics());
    expect(after.get(name)).toBe(before + 3);
    expect(
      after.get('http_server_requests_total{route="mappings-read",status_class="4xx",code="NOT_FOUND"}'),
    ).toBe(before + 3);
    expect(after.get('mapper_request_duration_ms_count{route="mappings-read",status_class="4xx"}')).toBe(
      before + 3,
    );
    expect(after.get('sign_in_failures_total{reason="malformed"}')).toBeGreaterThan(0);
    const key = JSON.stringify(['mapper_requests_total', { route: 'mappings-read', status_class: '4xx' }]);
    await until(
      () => Promise.resolve(collector.points.get(key)?.value),
      (value) => value === before + 3,
    );
  });

  it('has the gauges that telemetry-gauges measured, with each series once', async () => {
    const run = await app.request('POST', '/api/v1/platform/jobs/telemetry-gauges/runs', {
      key: app.keys.operator,
      body: {},
    });
    expect(run.body).toMatchObject({ status: 'completed' });
    const series = seriesOf(await readMetrics());
    const measured = Object.entries(instruments).flatMap(([name, { measuredByJob }]) =>
      measuredByJob ? [name] : [],
    );
    expect(measured.filter((name) => ![...series.keys()].some((key) => key.startsWith(name)))).toEqual([]);
    expect(series.get('queue_dead_letters{queue="audit-events"}')).toBe(0);
    expect(series.get('database_connection_pool_size{database="core",role="app",state="max"}')).toBe(8);
  });

  it('is for operators only', async () => {
    const { status } = await app.request('GET', '/api/v1/platform/metrics', { key: app.keys.acme.owner });
    expect(status).toBe(403);
  });
});

describe('what is exported', () => {
  const PLANTED = 'planted-4d1f';

  it('contains no content, no tenant, no key and no id of the requests, from a tour of every operation', async () => {
    const stops = await takeTour(app);
    expect(stops.length).toBeGreaterThan(100);
    const { headers } = await app.request('POST', `/api/v1/mappings?${PLANTED}=${PLANTED}`, {
      key: app.keys.acme.writer,
      body: { detector: PLANTED, source_data: PLANTED, model_version: PLANTED, [PLANTED]: PLANTED },
      headers: { 'user-agent': PLANTED, 'idempotency-key': PLANTED, 'x-ms-client-request-id': PLANTED },
    });
    const last = headers.get('x-ms-request-id') ?? '';
    await until(
      () => Promise.resolve(collector.spans.some(({ trace }) => trace === last)),
      (found) => found,
      30,
    );
    const spans = JSON.stringify(
      collector.spans.map(({ name, attributes, kind, failed }) => ({ name, attributes, kind, failed })),
    );
    const metrics = JSON.stringify([...collector.points.values()]);
    expect(spans.length).toBeGreaterThan(10_000);
    for (const exported of [spans, metrics, ...collector.bodies]) {
      for (const content of [PLANTED, 'acme', 'globex', '123-45-6789', 'what is said', 'cca_', '127.0.0.1'])
        expect(exported.includes(content) ? `${content} in ${exported.slice(0, 200)}` : '').toBe('');
    }
    // Ids of rows, keys and Stripe's objects. A process's own id is no attribute of a span or a metric.
    expect(/[0-9a-f]{8}-[0-9a-f]{4}-/.exec(spans + metrics)?.[0]).toBeUndefined();
    expect(/\b(cus|sub|price|in|pi|evt|cs)_[A-Za-z0-9]{6,}/.exec(spans + metrics)?.[0]).toBeUndefined();
  });

  it('has only the listed instruments and values, whatever requests contain', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), async (path, value) => {
        await app.request('GET', `/api/v1/records/${encodeURIComponent(path)}`, {
          key: app.keys.acme.reader,
        });
        await app.request('GET', `/api/${encodeURIComponent(path)}/${encodeURIComponent(value)}`);
        await app.request('POST', '/api/v1/mappings', {
          key: app.keys.globex.writer,
          body: { detector: value, source_data: path, model_version: value },
        });
      }),
      { numRuns: 15 },
    );
    const first = new Set(seriesOf(await readMetrics()).keys());
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 40 }), async (value) => {
        await app.request('GET', `/api/v1/records/${encodeURIComponent(value)}`, {
          key: app.keys.acme.reader,
        });
        await app.request('POST', '/api/v1/mappings', {
          key: app.keys.globex.writer,
          body: { detector: value, source_data: value, model_version: value },
        });
      }),
      { numRuns: 30 },
    );
    const more = [...seriesOf(await readMetrics()).keys()].filter((key) => !first.has(key));
    // Nothing but what the background does meanwhile.
    expect(more.filter((key) => /^(http|mapper)_/.test(key))).toEqual([]);
    for (const { name, attributes } of collector.points.values()) {
      const instrument = instruments[name];
      expect(instrument, name).toBeDefined();
      expect(Object.keys(attributes).sort()).toEqual(Object.keys(instrument?.attributes ?? {}).sort());
      for (const [attribute, given] of Object.entries(attributes)) {
        const list = instrument?.attributes[attribute];
        if (list !== 'declared') expect([...(list ?? []), OTHER]).toContain(given);
        else expect(given).toMatch(/^[a-z0-9-]+$|^[A-Z_]+$/);
      }
    }
  }, 120_000);
});
