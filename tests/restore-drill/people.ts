import type { Scene } from './scene.ts';

/** A write that a client repeats after the restore, under its key. */
interface Probe {
  readonly key: string;
  readonly requestId: string;
  readonly at: Date;
}

/** What people do between the moments: acts that a restore undoes. */
export interface People {
  readonly afterFirst: () => Promise<void>;
  readonly afterSecond: () => Promise<void>;
  readonly afterThird: () => Promise<void>;
  /** Sends a write under a key of its own. */
  readonly probe: () => Promise<void>;
  /** The text of each key that was revoked, and when. */
  readonly revoked: readonly { readonly credential: string; readonly at: Date }[];
  /** When a hold was placed. */
  readonly held: readonly Date[];
  readonly probes: readonly Probe[];
  /** Sends a probe again. Returns the id in its answer. */
  repeat(probe: Probe): Promise<string>;
}

/** Makes three keys, of which each is revoked after another moment. */
export async function openPeople(scene: Scene): Promise<People> {
  const { key } = scene.people;
  const send = async (
    method: string,
    path: string,
    status: number,
    body?: unknown,
    idempotencyKey?: string,
  ): Promise<Record<string, unknown>> => {
    const answer = await scene.ask({
      method,
      path: `/api/v1/${path}`,
      key,
      ...(body === undefined ? {} : { body }),
      ...(idempotencyKey === undefined ? {} : { headers: { 'idempotency-key': idempotencyKey } }),
    });
    if (answer.status !== status)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as Record<string, unknown>;
  };
  const keys = await Promise.all(
    [1, 2, 3].map((n) =>
      send('POST', 'api-keys', 201, { key_name: `temporary-${n}`, permission_set: 'reader' }),
    ),
  );
  const revoked: { credential: string; at: Date }[] = [];
  const held: Date[] = [];
  const probes: Probe[] = [];
  const revoke = async (n: number): Promise<void> => {
    const made = keys[n];
    if (made === undefined) throw new Error('there is no such key');
    const { key_id: id } = made as { key_id: string };
    await send('DELETE', `api-keys/${id}`, 204);
    revoked.push({ credential: String(made['api_key']), at: new Date() });
  };
  const bodyOf = (name: string) => ({
    detector: 'regex-pii',
    source_data: `a probe: ${name}`,
    output: {},
    model_version: 'mapper-7',
    response: {
      taxonomy: ['PII.Contact.Email'],
      scores: { 'PII.Contact.Email': 0.9 },
      confidence: 0.9,
      processing_time_ms: 12,
      model_used: 'mapper-7',
    },
  });
  const sendProbe = async (name: string): Promise<string> =>
    String((await send('POST', 'mappings', 201, bodyOf(name), name))['request_id']);
  return {
    revoked,
    held,
    probes,
    async afterFirst() {
      await revoke(0);
      const hold = { name: 'A case', reason: 'A lawsuit.', scope: {} };
      await send('POST', 'legal-holds', 201, hold);
      held.push(new Date());
      await scene.buy(scene.buyer);
      await scene.runJob('usage-report');
    },
    async afterSecond() {
      await revoke(1);
      await scene.runJob('usage-report');
    },
    async afterThird() {
      await revoke(2);
      await scene.runJob('usage-report');
    },
    async probe() {
      const name = `probe-${probes.length + 1}`;
      const requestId = await sendProbe(name);
      probes.push({ key: name, requestId, at: new Date() });
    },
    repeat: ({ key: name }) => sendProbe(name),
  };
}
