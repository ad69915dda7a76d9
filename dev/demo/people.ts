import { createHash, randomBytes } from 'node:crypto';
import { ServiceBusClient, type ServiceBusReceiver } from '@azure/service-bus';
import { openApiClient, problemCode, type ApiClient } from '../client/api-client.ts';
import type { StackFacts } from '../client/stack-file.ts';
import { explain, heading, show, type Json } from './print.ts';
import { eventually, expect } from './requests.ts';

/** How long a mail's event may take to the queue, on a busy machine. */
const MAIL_S = 20;
/** The jobs of an export and of an erasure run in steps. */
const RUNS_MAX = 60;
const EFFECT_S = 60;

const MAPPING = {
  detector: 'regex-pii',
  source_data: 'jane.doe@example.com',
  model_version: 'demo-mapper-1',
  response: {
    taxonomy: ['PII.Contact.Email'],
    scores: { 'PII.Contact.Email': 0.98 },
    confidence: 0.98,
    processing_time_ms: 210,
    model_used: 'demo-mapper',
  },
};
/** An erasure waits two minutes for requests that still run. The demo does not wait: it runs the job as of later. */
const SETTLED_MS = 5 * 60_000;

interface Scene {
  readonly stack: StackFacts;
  readonly tenant: string;
  readonly operator: ApiClient;
  /** With the key that the operator got for the new tenant. */
  readonly firstKey: ApiClient;
  readonly mails: ServiceBusReceiver;
}

interface Person {
  readonly email: string;
  readonly password: string;
  readonly id: string;
}

const as = ({ stack }: Pick<Scene, 'stack'>, credential: string): ApiClient =>
  openApiClient(stack.base_url, credential);
const itemsOf = (page: Json): Json[] => (page['items'] as Json[] | undefined) ?? [];

async function makeTenant(stack: StackFacts, mails: ServiceBusReceiver): Promise<Scene> {
  heading('A new tenant');
  const tenant = `demo-${randomBytes(4).toString('hex')}`;
  const operator = openApiClient(stack.base_url, stack.operator);
  const made = await expect(operator, [201], 'POST', '/api/v1/platform/tenants', {
    tenant_id: tenant,
    name: 'Demo',
    plan_id: 'professional',
  });
  explain(`An operator makes the tenant ${tenant}, and gets its first key.`);
  return { stack, tenant, operator, firstKey: as({ stack }, String(made['owner_api_key'])), mails };
}

/** The token in the mail to an address. Here the demo is the service that sends mails. */
async function tokenFor({ mails }: Scene, email: string): Promise<string> {
  const deadline = Date.now() + MAIL_S * 1000;
  while (Date.now() < deadline) {
    const messages = await mails.receiveMessages(50, { maxWaitTimeInMs: 2_000 });
    for (const message of messages) {
      await mails.completeMessage(message);
      const events: readonly Json[] = Array.isArray(message.body) ? message.body : [message.body];
      const event = events.find(({ data }) => (data as Json)['email'] === email);
      if (event !== undefined) return String((event['data'] as Json)['token']);
    }
  }
  throw new Error('the invitation’s event is not on the queue notifications');
}

async function invite(scene: Scene, inviter: ApiClient, name: string, roles: string[]): Promise<Person> {
  const email = `${name}@${scene.tenant}.example`;
  const password = randomBytes(12).toString('base64url');
  await expect(inviter, [201], 'POST', '/api/v1/invitations', { email, roles });
  const token = await tokenFor(scene, email);
  const accepted = await expect(as(scene, ''), [200, 201], 'POST', '/api/v1/invitations/accept', {
    token,
    password,
    first_name: name,
    last_name: 'Demo',
  });
  explain(`${email} is invited as ${roles.join(', ')}, gets a mail with a one-time token, and accepts.`);
  return { email, password, id: String(accepted['user_id']) };
}

async function signIn(scene: Scene, { email, password }: Person): Promise<ApiClient> {
  const session = await expect(as(scene, ''), [201], 'POST', '/api/v1/auth/sessions', { email, password });
  const client = as(scene, String(session['token']));
  const me = await expect(client, [200], 'GET', '/api/v1/me');
  explain(
    `${email} signs in: ${String(me['actor'])} of ${String(me['tenant_id'])}, roles ${(me['roles'] as string[]).join(', ')}.`,
  );
  return client;
}

async function refuse(
  client: ApiClient,
  what: string,
  method: string,
  path: string,
  body?: Json,
): Promise<void> {
  const answer = await client.send(method, path, body);
  if (answer.status < 400) throw new Error(`${method} ${path} was not refused: ${answer.status}`);
  explain(`${what}: ${answer.status} ${problemCode(answer.body) ?? ''}`);
}

async function meetPeople(scene: Scene): Promise<{ owner: ApiClient; viewer: Person }> {
  heading('People');
  const ann = await invite(scene, scene.firstKey, 'ann', ['admin']);
  const owner = await signIn(scene, ann);
  const bob = await invite(scene, owner, 'bob', ['viewer']);
  const viewer = await signIn(scene, bob);
  await refuse(as(scene, ''), 'A wrong password', 'POST', '/api/v1/auth/sessions', {
    email: bob.email,
    password: 'not the password',
  });
  await refuse(viewer, 'Bob asks for the API keys', 'GET', '/api/v1/api-keys');
  await refuse(
    owner,
    'Ann, the last owner, gives up her role',
    'DELETE',
    `/api/v1/users/${ann.id}/roles/admin`,
  );
  await expect(owner, [200, 201], 'POST', `/api/v1/users/${bob.id}/roles`, {
    role_name: 'auditor',
    expires_at: new Date(Date.now() + 3_600_000).toISOString(),
  });
  explain('Ann makes Bob an auditor for an hour.');
  const denied = await eventually(
    () => expect(viewer, [200], 'GET', '/api/v1/audit-logs?outcome=denied'),
    (page) => itemsOf(page).length > 0,
  );
  const [entry] = itemsOf(denied);
  show('As an auditor, Bob sees what was denied', {
    action: entry?.['action'],
    actor: entry?.['actor'],
    outcome: entry?.['outcome'],
  });
  return { owner, viewer: bob };
}

async function storeEvidence(owner: ApiClient): Promise<string> {
  heading('Evidence');
  const mapping = await expect(owner, [201], 'POST', '/api/v1/mappings', MAPPING);
  const id = String(mapping['record_id']);
  await eventually(
    () => expect(owner, [200], 'GET', `/api/v1/records/${id}`),
    (record) => typeof record['archived_at'] === 'string',
  );
  const source = await expect(owner, [200], 'GET', `/api/v1/records/${id}/source`);
  show('A record, with a source that only the tenant’s own key opens', source);
  return id;
}

/** Runs jobs in turn until `done`, as of now, or each time so much later. Its timer would do the same, a little later. */
async function runUntil(
  scene: Scene,
  jobs: readonly string[],
  read: () => Promise<Json>,
  done: (value: Json) => boolean,
  laterMs = 0,
): Promise<Json> {
  for (let run = 0; run < RUNS_MAX; run += 1) {
    const asOf = new Date(Date.now() + laterMs * (run + 1)).toISOString();
    for (const job of jobs)
      await scene.operator.send(
        'POST',
        `/api/v1/platform/jobs/${job}/runs`,
        laterMs === 0 ? {} : { as_of: asOf },
      );
    const value = await read();
    if (done(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`${jobs.join(', ')} did not end: ${JSON.stringify(await read())}`);
}

async function exportAll(scene: Scene, owner: ApiClient): Promise<void> {
  heading('Everything, to take along');
  const begun = await expect(owner, [201, 202], 'POST', '/api/v1/tenant/exports');
  const path = `/api/v1/tenant/exports/${String(begun['export_id'])}`;
  const done = await runUntil(
    scene,
    ['tenant-exports'],
    () => expect(owner, [200], 'GET', path),
    ({ status }) => status === 'completed' || status === 'failed',
  );
  const { status, rows, files, bytes, link } = done;
  show('The export', { status, rows, files, bytes });
  const manifest = await (await fetch(String((link as Json)['manifest_url']))).text();
  explain(
    `Its manifest: ${manifest.length} characters, SHA-256 ${createHash('sha256').update(manifest).digest('hex').slice(0, 16)}…`,
  );
}

async function leave(scene: Scene, owner: ApiClient): Promise<void> {
  heading('The tenant leaves');
  const leaving = await expect(owner, [200], 'POST', '/api/v1/tenant/offboarding', {
    confirm: scene.tenant,
  });
  show('Read-only, with a way back', leaving);
  const refused = await eventually(
    async () => {
      const answer = await owner.send('POST', '/api/v1/mappings', MAPPING);
      return { status: answer.status, code: problemCode(answer.body) };
    },
    ({ status }) => status === 403,
  );
  explain(`A write: ${String(refused['status'])} ${String(refused['code'])}`);
}

async function erase(scene: Scene, owner: ApiClient, recordId: string): Promise<void> {
  heading('The tenant is erased');
  const path = `/api/v1/platform/tenants/${scene.tenant}/erasure`;
  await expect(scene.operator, [200, 201, 202], 'POST', path, { early: true, reason: 'Demo' });
  explain('An operator does not wait for the end of the 30 days, and says why.');
  const ended = await runUntil(
    scene,
    // The first deletes the files of exports.
    ['tenant-exports', 'tenant-erasures'],
    () => expect(scene.operator, [200], 'GET', path),
    ({ status }) => status === 'completed' || status === 'on_hold',
    SETTLED_MS,
  );
  const steps = (ended['steps'] as Json[]).map(({ step }) => step);
  show('The ledger', { status: ended['status'], steps });
  const report = ended['report'] as Json;
  show('What the verifier still found, and why it stays', report['found']);
  show('Blobs', report['blobs']);
  const gone = await eventually(
    async () => ({ status: (await owner.send('GET', `/api/v1/records/${recordId}/source`)).status }),
    ({ status }) => status === 401,
    EFFECT_S,
  );
  explain(`Ann’s session: ${String(gone['status'])}. Nobody signs in to ${scene.tenant} any more.`);
}

/** How people join a tenant, work in it, and leave it with everything. */
export async function showPeople(stack: StackFacts): Promise<void> {
  const bus = new ServiceBusClient(stack.service_bus);
  try {
    const scene = await makeTenant(stack, bus.createReceiver('notifications'));
    const { owner } = await meetPeople(scene);
    const recordId = await storeEvidence(owner);
    await exportAll(scene, owner);
    await leave(scene, owner);
    await erase(scene, owner, recordId);
    explain(`Done. To try more: ${stack.base_url}/api/docs`);
  } finally {
    await bus.close();
  }
}
