import { afterEach, describe, expect, it } from 'vitest';
import { startTestApp } from './harness/app.ts';

const app = await startTestApp();
const { acme } = app.keys;

afterEach(async () => {
  await app.admin.core`delete from data_retention_policies`;
  await app.admin.core`delete from tenant_configs`;
  app.services.tenants.forget('acme');
});

const policy = (body: object) =>
  app.request('POST', '/api/v1/data-retention-policies', {
    key: acme.owner,
    body: { data_type: 'storage_records', retention_days: 1, ...body },
  });
const configure = (config: object) =>
  app.request('PUT', '/api/v1/tenant-config', {
    key: acme.owner,
    body: { config_data: config },
    headers: { 'if-match': '*' },
  });
const pointers = (answer: Awaited<ReturnType<typeof policy>>) =>
  (answer.body.errors ?? []).map((fault: { pointer: string }) => fault.pointer);

describe('a retention policy', () => {
  it.each(['HIPAA 2013', 'SOC 2 Type II', 'ISO/IEC 27001:2022', 'PCI DSS 4.0'])(
    'that names %s must keep its family’s minimum',
    async (framework) => {
      const answer = await policy({ compliance_framework: framework });
      expect([answer.status, pointers(answer)]).toEqual([400, ['/retention_days']]);
    },
  );

  it('must keep the minimum of the frameworks in the tenant’s settings, also if it names another one', async () => {
    expect((await configure({ frameworks: ['GDPR', 'HIPAA 2013'] })).status).toBe(200);
    for (const framework of [null, 'GDPR', 'SOC2']) {
      const answer = await policy({ retention_days: 2189, compliance_framework: framework });
      expect([answer.status, pointers(answer)]).toEqual([400, ['/retention_days']]);
      expect(answer.body.errors[0].detail).toBe('must be at least 2190 days under HIPAA 2013');
    }
    const made = await policy({ retention_days: 2190 });
    expect(made.status).toBe(201);
    const replaced = await app.request('PUT', made.headers.get('location') ?? '', {
      key: acme.owner,
      body: { data_type: 'storage_records', retention_days: 30 },
      headers: { 'if-match': '*' },
    });
    expect([replaced.status, pointers(replaced)]).toEqual([400, ['/retention_days']]);
  });

  it.each(['SOC Type 2', 'SOC Type II', 'ISO 27K'])(
    'that names %s must keep its family’s minimum too',
    async (framework) => {
      const answer = await policy({ retention_days: 364, compliance_framework: framework });
      expect([answer.status, pointers(answer)]).toEqual([400, ['/retention_days']]);
      expect((await policy({ retention_days: 365, compliance_framework: framework })).status).toBe(201);
    },
  );

  it('that names a framework in letters that look like others is refused', async () => {
    const answer = await policy({ retention_days: 3650, compliance_framework: 'НІРАА' });
    expect([answer.status, pointers(answer)]).toEqual([400, ['/compliance_framework']]);
  });

  it('for the audit trail is refused: nothing deletes audit entries', async () => {
    const answer = await policy({ data_type: 'audit_logs', retention_days: 3650 });
    expect([answer.status, pointers(answer)]).toEqual([400, ['/data_type']]);
  });
});

describe('a tenant’s settings', () => {
  it('cannot keep records for less than their frameworks’ minimum', async () => {
    const answer = await configure({ frameworks: ['SOC 2 Type II', 'HIPAA 2013'], retention_days: 1 });
    expect([answer.status, pointers(answer)]).toEqual([400, ['/config_data/retention_days']]);
    expect((await configure({ frameworks: ['SOC 2 Type II'], retention_days: 364 })).status).toBe(400);
    expect((await configure({ frameworks: ['SOC 2 Type II'], retention_days: 365 })).status).toBe(200);
    expect((await configure({ frameworks: ['GDPR'], retention_days: 1 })).status).toBe(200);
  });

  it('cannot name a framework whose minimum is above an active policy', async () => {
    const made = await policy({ retention_days: 30 });
    expect(made.status).toBe(201);
    const answer = await configure({ frameworks: ['GDPR', 'SOC2'] });
    expect([answer.status, answer.body.errors]).toEqual([
      400,
      [
        {
          pointer: '/config_data/frameworks/1',
          detail: 'requires at least 365 days; the active policy for storage_records has 30',
        },
      ],
    ]);
    await app.request('DELETE', made.headers.get('location') ?? '', { key: acme.owner });
    expect((await configure({ frameworks: ['GDPR', 'SOC2'] })).status).toBe(200);
  });

  it('cannot name a framework in letters that look like others', async () => {
    const answer = await configure({ frameworks: ['GDPR', 'НІРАА', 'SOC2', 'ʜɪᴘᴀᴀ'] });
    expect([answer.status, pointers(answer)]).toEqual([
      400,
      ['/config_data/frameworks/1', '/config_data/frameworks/3'],
    ]);
  });

  it('that name a framework and no days keep records for the framework’s minimum', async () => {
    expect((await configure({ frameworks: ['SOC2'] })).status).toBe(200);
    const mapping = { detector: 'd', source_data: 'x', model_version: 'v1' };
    const { body } = await app.request('POST', '/api/v1/mappings', { key: acme.writer, body: mapping });
    const days = (Date.parse(body.expires_at) - Date.parse(body.created_at)) / 86_400_000;
    expect(Math.round(days)).toBe(365);
  });

  it('and a policy that contradict each other are never both accepted, also at the same time', async () => {
    for (let n = 0; n < 5; n++) {
      const [settings, made] = await Promise.all([
        configure({ frameworks: ['HIPAA'] }),
        policy({ retention_days: 30 }),
      ]);
      expect([settings.status, made.status].sort()).not.toEqual([200, 201]);
      await app.admin.core`delete from data_retention_policies`;
      await app.admin.core`delete from tenant_configs`;
    }
  });
});
