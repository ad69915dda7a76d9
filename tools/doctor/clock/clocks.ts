import type { DatabaseName } from '../../migrate/databases.ts';
import { stripeInBackground } from '../../../shared/domains/billing/stripe/client.ts';
import { describeError } from '../describe-error.ts';
import type { Check } from '../check.ts';
import { NotChecked } from '../not-checked.ts';
import type { Patient } from '../patient.ts';
import { withReachableRedis } from '../redis/open-redis.ts';
import { openBlobs } from '../blobs/open-blobs.ts';
import { askPublic } from '../public/ask-public.ts';
import { judgeSkew } from './skew.ts';

/** A `Date` header has whole seconds. */
const HEADER_STEP_MS = 1000;

/** Notes the own time before and after a call, so that what leads to the call (connecting, loading code) widens nothing. */
type Timed = <T>(call: () => Promise<T>) => Promise<T>;

/** Compares another machine's clock with this one's. `read` returns undefined if it does not say its time. */
function clock(
  name: string,
  of: string,
  read: (patient: Patient, timed: Timed) => Promise<Date | undefined>,
  stepMs = 0,
): Check {
  return {
    name: `clock-${name}`,
    group: 'clocks',
    looksAt: `the time of ${of} against this machine's`,
    async run(patient) {
      let asked = patient.clock.now();
      let answered = asked;
      const timed: Timed = async (call) => {
        asked = patient.clock.now();
        try {
          return await call();
        } finally {
          answered = patient.clock.now();
        }
      };
      const theirs = await read(patient, timed);
      if (theirs === undefined || Number.isNaN(theirs.getTime()))
        throw new NotChecked(`${of} does not say its time`);
      return judgeSkew(of, { theirs, asked, answered, stepMs });
    },
  };
}

const ofDatabase = (database: DatabaseName): Check =>
  clock(database, `the ${database} database`, (patient, timed) =>
    patient.askReachable(database, 'crossTenant', async (client) => {
      const { rows } = await timed(() => client.query<{ now: Date }>('select clock_timestamp() as now'));
      return rows[0]?.now;
    }),
  );

const ofRedis = clock(
  'redis',
  'Redis',
  (patient, timed) =>
    withReachableRedis(patient, async (client) => {
      const [seconds] = await timed(() => client.time());
      return new Date(Number(seconds) * 1000);
    }),
  HEADER_STEP_MS,
);

const ofBlobs = clock(
  'blobs',
  'the storage account',
  async (patient, timed) => {
    const service = await openBlobs(patient);
    try {
      const { _response: response } = await timed(() => service.getProperties());
      return new Date(response.headers.get('date') ?? '');
    } catch (error) {
      // A refusal has a date too.
      const { RestError } = await import('@azure/storage-blob');
      if (error instanceof RestError && error.response !== undefined)
        return new Date(error.response.headers.get('date') ?? '');
      throw new NotChecked(`the storage account does not answer: ${describeError(error)}`);
    }
  },
  HEADER_STEP_MS,
);

const ofStripe = clock(
  'stripe',
  'Stripe',
  async (patient, timed) => {
    patient.need('STRIPE_SECRET_KEY');
    const stripe = await stripeInBackground(patient.services.settings);
    try {
      const { lastResponse } = await timed(() => stripe.events.list({ limit: 1 }));
      return new Date(new Headers(lastResponse.headers).get('date') ?? '');
    } catch (error) {
      throw new NotChecked(`Stripe does not answer: ${describeError(error)}`);
    }
  },
  HEADER_STEP_MS,
);

const ofPublic = clock(
  'api',
  'the API',
  async (patient, timed) => {
    try {
      const { headers } = await timed(() => askPublic(patient, '/api/health/live'));
      return new Date(headers.get('date') ?? '');
    } catch (error) {
      if (error instanceof NotChecked) throw error;
      throw new NotChecked(`the API does not answer: ${describeError(error)}`);
    }
  },
  HEADER_STEP_MS,
);

/** The clocks of everything that says its time. */
export const clocks: readonly Check[] = [
  ofDatabase('core'),
  ofDatabase('billing'),
  ofDatabase('analytics'),
  ofRedis,
  ofBlobs,
  ofStripe,
];
/** The API's clock, from outside. */
export const publicClock: Check = ofPublic;
