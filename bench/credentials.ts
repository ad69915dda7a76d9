import { z } from 'zod';
import type { Bench, Sizes } from './bench.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { CONNECTIONS, createMappings } from './create-mappings.ts';
import { interleave, makeFigure, median } from './figures.ts';
import { LoadClient } from './load/client.ts';
import type { LoadOrder } from './load/protocol.ts';
import { undisturbed } from './undisturbed.ts';
import { generateSessionToken, hashToken } from '../shared/platform/auth/session-token.ts';
import { newId } from '../shared/platform/ids/ids.ts';

const tokenAnswer = z.object({ access_token: z.string() });

const WARM_UP_S = 6;
const RECORDS = 500;
/** Once warm, another credential costs at most this much more than a key. */
const TARGET = { bound: 'at most', value: 1.2 } as const;

/** A credential and the headers that it needs. */
interface Credential {
  readonly name: string;
  readonly key: string;
  readonly tenant?: string;
}

/** A person of acme with the role of the key that the others are compared with, and the token of a session. */
async function openSession({ core }: BenchStack): Promise<Credential> {
  const userId = newId();
  const { token, sessionId } = generateSessionToken();
  await core`insert into users (user_id, email, is_verified) values (${userId}, ${`${userId}@bench.example`}, true)`;
  await core`insert into user_role_assignments (tenant_id, user_id, role_name) values ('acme', ${userId}, 'viewer')`;
  await core`insert into user_sessions (tenant_id, session_id, user_id, token_hash, idle_expires_at, expires_at)
    values ('acme', ${sessionId}, ${userId}, ${hashToken(token)}, now() + interval '30 minutes', now() + interval '12 hours')`;
  return { name: 'session', key: token };
}

/** A token of acme's own issuer, for a person with the same role. */
async function fetchToken({ stack }: BenchStack): Promise<Credential> {
  if (stack.oidc === null) throw new Error('the stack has no issuer');
  const response = await fetch(`${stack.oidc.ready.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'password',
      username: 'bench',
      password: 'none',
      roles: 'Viewer',
    }),
  });
  const { access_token: key } = tokenAnswer.parse(await response.json());
  return { name: 'OIDC token', key, tenant: 'acme' };
}

/** Microseconds of the whole service for each read with a credential, 32 at a time. */
async function microseconds(
  client: LoadClient,
  bench: BenchStack,
  { key, tenant }: Credential,
  records: readonly string[],
  seconds: number,
): Promise<number> {
  const targets = records.map((id) => ({ key, path: `/api/v1/records/${id}`, tenant }));
  const order: LoadOrder = {
    ports: bench.ports,
    connections: CONNECTIONS,
    seconds,
    request: { kind: 'read', targets },
  };
  return 1e6 / (await client.run(order)).perSecond;
}

async function compare(
  bench: BenchStack,
  client: LoadClient,
  pair: { readonly candidate: Credential; readonly baseline: Credential },
  records: readonly string[],
  sizes: Sizes,
  say: (line: string) => void,
) {
  const { candidate, baseline } = pair;
  for (const credential of [baseline, candidate])
    await microseconds(client, bench, credential, records, WARM_UP_S);
  const once = (credential: Credential) => () =>
    undisturbed(() => microseconds(client, bench, credential, records, sizes.secondsEach), say);
  const values = await interleave(sizes.rounds, once(baseline), once(candidate));
  say(
    `  ${candidate.name}: ${median(values.candidate).toFixed(0)} µs, key: ${median(values.baseline).toFixed(0)} µs`,
  );
  return makeFigure({
    bench: 'credentials',
    name: `GET /records/{id} by ${candidate.name} ÷ by API key`,
    candidate: {
      name: `by ${candidate.name}, ${CONNECTIONS} connections`,
      unit: 'µs',
      values: values.candidate,
    },
    baseline: { name: `by API key, ${CONNECTIONS} connections`, unit: 'µs', values: values.baseline },
    target: TARGET,
  });
}

/** What a request costs with each kind of credential. */
export const credentialsBench: Bench = {
  name: 'credentials',
  what: 'a read by session and by OIDC token ÷ the same read by API key',
  byDefault: true,
  async run(sizes, say) {
    const bench = await startBenchStack('http alone', { withOidc: true });
    const client = await LoadClient.start();
    try {
      await client.run(createMappings(bench, WARM_UP_S));
      await bench.drainOutbox();
      const rows = await bench.core<{ id: string }[]>`
        select id from storage_records where tenant_id = 'acme' order by created_at desc limit ${RECORDS}`;
      const records = rows.map(({ id }) => id);
      const baseline = { name: 'API key', key: bench.stack.keys.tenants.acme.reader };
      const candidates = [await openSession(bench), await fetchToken(bench)];
      const figures = [];
      for (const candidate of candidates)
        figures.push(await compare(bench, client, { candidate, baseline }, records, sizes, say));
      return figures;
    } finally {
      await client.stop();
      await bench.stop();
    }
  },
};
