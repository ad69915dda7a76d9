import { describe, expect, it } from 'vitest';
import { newId } from '../shared/platform/ids/ids.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { acme } = app.keys;

const request = { content: 'Call me', content_type: 'text', policy_bundle: 'default', environment: 'prod' };
const response = { total_processing_time_ms: 40 };
const result = (detector: string, confidence?: number) => ({
  detector,
  status: 'success',
  processing_time_ms: 12,
  ...(confidence === undefined ? {} : { confidence }),
});

const post = (path: string, body: object): Promise<TestAnswer> =>
  app.request('POST', `/api/v1/${path}`, { key: acme.owner, body });
const record = (body: object = {}): Promise<TestAnswer> => post('orchestrations', { ...request, ...body });

let detectors = 0;
/** Makes the tenant's own detector with a threshold, and a plan that requires only it. */
async function planFor(threshold: number, changes: object = {}): Promise<{ detector: string; plan: string }> {
  detectors += 1;
  const [detector, plan] = [`detector-${detectors}`, `plan-${detectors}`];
  const config = {
    detector_name: detector,
    detector_type: 'pii',
    version: '1',
    confidence_threshold: threshold,
  };
  expect((await post('detector-configs', { ...config, ...changes })).status).toBe(201);
  expect((await post('routing-plans', { plan_name: plan, primary_detectors: [detector] })).status).toBe(201);
  return { detector, plan };
}

describe('a detector’s result below its threshold', () => {
  it('is not a success, with the request, in a batch or later', async () => {
    const { detector, plan } = await planFor(0.7);
    const body = { policy_bundle: plan, detector_results: [result(detector, 0.69)], response };
    const whole = await record(body);
    expect([whole.status, whole.body]).toMatchObject([
      206,
      { coverage_achieved: 0, fallback_used: true, detectors_attempted: 1, detectors_succeeded: 0 },
    ]);
    const batch = await post('orchestrations/batch', { items: [{ ...request, ...body }] });
    expect(batch.body.items[0]).toMatchObject({ status: 206, code: 'PARTIAL_COVERAGE' });
    const { body: open } = await record({ policy_bundle: plan });
    const path = `orchestrations/${open.request_id}`;
    const added = await post(`${path}/detector-results`, { results: [result(detector, 0.69)] });
    expect(added.body.results).toMatchObject([{ detector, status: 'success', below_threshold: true }]);
    const late = await app.request('PUT', `/api/v1/${path}/response`, { key: acme.owner, body: response });
    expect([late.status, late.body.coverage_achieved]).toEqual([206, 0]);
    const { body: read } = await app.request('GET', `/api/v1/${path}`, { key: acme.reader });
    expect(read.detector_results).toMatchObject([{ detector, status: 'success', below_threshold: true }]);
    expect(read.response.detector_results).toMatchObject([{ detector, below_threshold: true }]);
  });

  it('is also one without a confidence: unknown counts as 0', async () => {
    const { detector, plan } = await planFor(0.1);
    const body = { policy_bundle: plan, detector_results: [result(detector)], response };
    const answer = await record(body);
    expect([answer.status, answer.body]).toMatchObject([
      206,
      { coverage_achieved: 0, detectors_succeeded: 0 },
    ]);
    const { body: read } = await app.request('GET', `/api/v1/orchestrations/${answer.body.request_id}`, {
      key: acme.reader,
    });
    expect(read.detector_results).toMatchObject([{ confidence: null, below_threshold: true }]);
  });

  it('is not one without a confidence if no threshold is configured or the threshold is 0', async () => {
    const { detector, plan } = await planFor(0);
    const unknown = 'detector-without-config';
    await post('routing-plans', { plan_name: 'unconfigured', primary_detectors: [unknown] });
    for (const body of [
      { policy_bundle: plan, detector_results: [result(detector)] },
      { policy_bundle: 'unconfigured', detector_results: [result(unknown)] },
    ])
      expect((await record({ ...body, response })).body).toMatchObject({ coverage_achieved: 1 });
  });

  it('is not a failed attempt, which has no confidence', async () => {
    const { detector, plan } = await planFor(0.7);
    const failed = { ...result(detector), status: 'failed', error: 'away' };
    const { body: open } = await record({ policy_bundle: plan });
    const path = `orchestrations/${open.request_id}/detector-results`;
    const added = await post(path, { results: [failed] });
    expect(added.body.results).toMatchObject([{ status: 'failed', below_threshold: false }]);
  });

  it('is a success at the threshold, and next to a surer attempt', async () => {
    const { detector, plan } = await planFor(0.7);
    for (const results of [
      [result(detector, 0.7)],
      [result(detector), result(detector, 0.9)],
      [result(detector, 0.1), result(detector, 0.9)],
    ]) {
      const answer = await record({ policy_bundle: plan, detector_results: results, response });
      expect([answer.status, answer.body.coverage_achieved]).toEqual([201, 1]);
    }
  });

  it('is judged by the active config: the tenant’s own, of the default set, the newest', async () => {
    const { detector, plan } = await planFor(0.2);
    const add = (changes: object) =>
      post('detector-configs', {
        detector_name: detector,
        detector_type: 'pii',
        confidence_threshold: 0.9,
        ...changes,
      });
    const status = async () =>
      (await record({ policy_bundle: plan, detector_results: [result(detector, 0.5)], response })).status;
    await app.admin.core`
      insert into detector_configs (tenant_id, id, detector_name, detector_type, detector_version, confidence_threshold)
      values ('platform', ${newId()}, ${detector}, 'pii', '9', 0.9)`;
    expect(await status()).toBe(201);
    await add({ version: '2', is_active: false });
    await add({ version: '2', detector_set: 'another' });
    expect(await status()).toBe(201);
    await add({ version: '3' });
    expect(await status()).toBe(206);
  });

  it('is not offered as known to the next request with the same content', async () => {
    const { detector, plan } = await planFor(0.7);
    const other = await planFor(0.1);
    const content = 'the same content';
    await record({
      content,
      policy_bundle: plan,
      detector_results: [result(detector, 0.5), result(other.detector, 0.5)],
    });
    const { body } = await until(
      () => record({ content }),
      (answer) => answer.body.known_results !== undefined,
    );
    expect(body.known_results.map((known: { detector: string }) => known.detector)).toEqual([other.detector]);
  });
});

describe('a request with nothing left to cover', () => {
  it.each([
    ['all primary detectors are excluded', { excluded_detectors: ['regex-pii', 'llama-guard'] }],
    [
      'and detectors that are not required succeeded',
      {
        excluded_detectors: ['regex-pii', 'llama-guard'],
        detector_results: [result('another', 1)],
      },
    ],
  ])('is partial: %s', async (_, changes) => {
    const answer = await record({ ...changes, response });
    expect([answer.status, answer.body]).toMatchObject([
      206,
      { coverage_achieved: 0, fallback_used: true, code: 'PARTIAL_COVERAGE' },
    ]);
  });

  it.each([
    { coverage_method: 'required_set' },
    {
      coverage_method: 'weighted_coverage',
      secondary_detectors: ['anything'],
      weights: { first: 0.1, anything: 0.9 },
    },
    { coverage_method: 'taxonomy_coverage', required_taxonomy_categories: ['PII'] },
  ])(
    'is partial with all primary detectors excluded, also if it requires others: $coverage_method',
    async (plan) => {
      const name = `excluded-${plan.coverage_method}`;
      const made = await post('routing-plans', {
        plan_name: name,
        primary_detectors: ['first', 'second'],
        ...plan,
      });
      expect(made.status).toBe(201);
      const body = {
        policy_bundle: name,
        required_detectors: ['anything'],
        detector_results: [{ ...result('anything', 1), output: { taxonomy: ['PII'] } }],
        response,
      };
      const all = await record({ ...body, excluded_detectors: ['second', 'first'] });
      expect([all.status, all.body]).toMatchObject([
        206,
        { coverage_achieved: 0, fallback_used: true, code: 'PARTIAL_COVERAGE' },
      ]);
      const some = await record({ ...body, excluded_detectors: ['second'] });
      expect(some.body.coverage_achieved).toBeGreaterThan(0);
      const { body: open } = await record({
        ...body,
        response: undefined,
        excluded_detectors: ['first', 'second'],
      });
      const late = await app.request('PUT', `/api/v1/orchestrations/${open.request_id}/response`, {
        key: acme.owner,
        body: response,
      });
      expect([late.status, late.body.coverage_achieved]).toEqual([206, 0]);
    },
  );

  it('is covered by its own detectors if the plan names none', async () => {
    await post('routing-plans', { plan_name: 'own' });
    const own = { policy_bundle: 'own', required_detectors: ['mine'], excluded_detectors: ['other'] };
    const answer = await record({ ...own, detector_results: [result('mine', 1)], response });
    expect([answer.status, answer.body.coverage_achieved]).toEqual([201, 1]);
  });

  it('is partial also under a plan whose threshold is 0', async () => {
    expect((await post('routing-plans', { plan_name: 'empty', coverage_threshold: 0 })).status).toBe(201);
    const answer = await record({ policy_bundle: 'empty', response });
    expect([answer.status, answer.body.coverage_achieved]).toEqual([206, 0]);
  });
});
