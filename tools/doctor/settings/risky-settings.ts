import { isLoopback } from '../../../shared/platform/config/connection-settings.ts';
import { DATABASES } from '../../migrate/databases.ts';
import { orOk, problem, warning, type Check, type Finding } from '../check.ts';
import { NotChecked } from '../not-checked.ts';
import type { Patient } from '../patient.ts';

type Rule = (patient: Patient) => readonly (Finding | false)[];

const DATABASE_SETTINGS = DATABASES.map(
  (database) =>
    [
      `${database.toUpperCase() as Uppercase<typeof database>}_DATABASE_URL`,
      `${database.toUpperCase() as Uppercase<typeof database>}_CROSS_TENANT_DATABASE_URL`,
    ] as const,
);

/** The databases' settings that are valid, with their URLs. */
function databaseUrls(patient: Patient): { name: string; url: URL }[] {
  return DATABASE_SETTINGS.flat().flatMap((name) => {
    const text = patient.setting(name);
    return text === undefined ? [] : [{ name, url: new URL(text) }];
  });
}

const isProductive = ({ environment }: Patient): boolean => environment === 'prod' || environment === 'stage';

const passwords: Rule = (patient) =>
  databaseUrls(patient).map(({ name, url }) => {
    const isEntra = patient.setting('DATABASE_AUTH') === 'entra';
    if (isEntra && url.password !== '')
      return warning(
        `${name} has a password, which DATABASE_AUTH=entra does not use`,
        `remove it from ${name}`,
      );
    return (
      !isEntra &&
      url.password === '' &&
      problem(
        `${name} has no password`,
        `put the role's password into ${name}, or set DATABASE_AUTH=entra for managed identities`,
      )
    );
  });

/** What the two settings of one database lead to, and that no two databases are one. */
const databases: Rule = (patient) => {
  const placeOf = (text: string | undefined): string | undefined => {
    if (text === undefined) return undefined;
    const url = new URL(text);
    return `${url.host}${url.pathname}`;
  };
  const places = DATABASE_SETTINGS.map(([app]) => [app, placeOf(patient.setting(app))] as const);
  return [
    ...DATABASE_SETTINGS.map(([app, crossTenant]) => {
      const [one, other] = [patient.setting(app), patient.setting(crossTenant)];
      if (one === undefined || other === undefined) return false;
      if (placeOf(one) !== placeOf(other))
        return problem(
          `${app} and ${crossTenant} lead to different databases`,
          `correct the host or the database of one of them`,
        );
      return (
        new URL(one).username === new URL(other).username &&
        problem(
          `${app} and ${crossTenant} have the same user`,
          `${app} connects as comply_app, ${crossTenant} as comply_jobs`,
        )
      );
    }),
    ...places.map(([name, place], n) => {
      const twin = places.slice(0, n).find(([, other]) => other !== undefined && other === place);
      return (
        twin !== undefined &&
        problem(`${name} leads to the same database as ${twin[0]}`, `correct the database of one of them`)
      );
    }),
  ];
};

const redisSignIn: Rule = (patient) => {
  const text = patient.setting('REDIS_URL');
  if (text === undefined) return [];
  const url = new URL(text);
  const isEntra = patient.setting('REDIS_AUTH') === 'entra';
  return [
    isEntra &&
      url.password !== '' &&
      warning('REDIS_URL has a password, which REDIS_AUTH=entra does not use', 'remove it from REDIS_URL'),
    isEntra &&
      url.username === '' &&
      problem(
        'REDIS_URL has no user, as whom REDIS_AUTH=entra signs in',
        'put the object id of the identity into REDIS_URL: rediss://<object id>@<host>:10000',
      ),
    !isEntra &&
      url.password === '' &&
      !isLoopback(url) &&
      problem('REDIS_URL has no password', 'put it into REDIS_URL, or set REDIS_AUTH=entra'),
  ];
};

const pooler: Rule = (patient) =>
  databaseUrls(patient).map(
    ({ name, url }) =>
      url.port === '6432' &&
      patient.setting('DATABASE_PREPARE') === true &&
      warning(
        `${name} leads to port 6432, PgBouncer's, with prepared statements`,
        'set DATABASE_PREPARE=false, or max_prepared_statements in PgBouncer',
      ),
  );

const stripe: Rule = (patient) => {
  const key = patient.setting('STRIPE_SECRET_KEY');
  const secrets = patient.setting('STRIPE_WEBHOOK_SECRETS') ?? [];
  const hasSecrets = secrets.length > 0 || patient.given.references.has('STRIPE_WEBHOOK_SECRETS');
  const hasKey = key !== undefined || patient.given.references.has('STRIPE_SECRET_KEY');
  const mode = /^[a-z]+_(live|test)_/.exec(key ?? '')?.[1];
  const origins = patient.setting('BILLING_RETURN_ORIGINS') ?? [];
  return [
    patient.environment === 'prod' &&
      mode === 'test' &&
      problem(
        'STRIPE_SECRET_KEY is a key of the test mode, in prod: nobody is charged',
        'put the live key (rk_live_… or sk_live_…) into STRIPE_SECRET_KEY, see docs/billing.md#go-live',
      ),
    patient.environment !== undefined &&
      patient.environment !== 'prod' &&
      mode === 'live' &&
      problem(
        `STRIPE_SECRET_KEY is a live key, in ${patient.environment}: cards would be charged`,
        'put a test key (sk_test_…) into STRIPE_SECRET_KEY and roll the live one in Stripe',
      ),
    hasKey &&
      !hasSecrets &&
      problem(
        'STRIPE_WEBHOOK_SECRETS is not set: webhooks of Stripe are refused with 503',
        'put the signing secret of the endpoint (Stripe → Developers → Webhooks) into STRIPE_WEBHOOK_SECRETS',
      ),
    !hasKey &&
      isProductive(patient) &&
      warning(
        'STRIPE_SECRET_KEY is not set: routes that need Stripe answer 503',
        'connect an account, see docs/billing.md#connect-an-account',
      ),
    hasKey &&
      origins.length === 0 &&
      warning(
        'BILLING_RETURN_ORIGINS is empty: every checkout is refused',
        'set BILLING_RETURN_ORIGINS to the origins of your own pages',
      ),
    patient.setting('STRIPE_API_URL') !== undefined &&
      patient.environment !== 'local' &&
      problem('STRIPE_API_URL is set: Stripe is not asked, but a stand-in', 'remove STRIPE_API_URL'),
  ];
};

const keys: Rule = (patient) => [
  patient.setting('KEY_ENCRYPTION_KEYS') !== undefined &&
    patient.environment !== 'local' &&
    (isProductive(patient) ? problem : warning)(
      'KEY_ENCRYPTION_KEYS has the key-encryption key itself: whoever reads the settings can open every source',
      'put the key into a Key Vault secret, set KEY_VAULT_URL, remove KEY_ENCRYPTION_KEYS, see docs/keys.md',
    ),
];

const places: Rule = (patient) => [
  ...databaseUrls(patient).map(
    ({ name, url }) =>
      patient.isLocal &&
      !isLoopback(url) &&
      problem(
        `DEPLOYMENT_ENVIRONMENT is local, and ${name} leads to another machine: jobs could run ahead of time there`,
        'set DEPLOYMENT_ENVIRONMENT to dev, stage or prod',
      ),
  ),
  !patient.isLocal &&
    patient.setting('API_PUBLIC_URL') === undefined &&
    warning(
      'API_PUBLIC_URL is not set: links begin with the Function App’s own address, which a gateway hides',
      'set API_PUBLIC_URL to the address that clients use',
    ),
  !patient.isLocal &&
    patient.setting('REDIS_URL') === undefined &&
    !patient.given.references.has('REDIS_URL') &&
    warning(
      'REDIS_URL is not set: each instance counts its own rate limits, so N instances allow N times as much',
      'set REDIS_URL=rediss://…',
    ),
  isProductive(patient) &&
    patient.setting('SERVICE_BUS_CONNECTION') !== undefined &&
    warning(
      'SERVICE_BUS_CONNECTION has a shared key',
      'set SERVICE_BUS_CONNECTION__fullyQualifiedNamespace instead, with a managed identity',
    ),
  isProductive(patient) &&
    patient.setting('BLOB_CONNECTION') !== undefined &&
    warning(
      'BLOB_CONNECTION has an account key',
      'set BLOB_CONNECTION__blobServiceUri instead, with a managed identity',
    ),
];

const RULES: readonly Rule[] = [databases, passwords, redisSignIn, pooler, stripe, keys, places];

/** Settings that are valid one by one, and contradict each other or are not safe where the app runs. */
export const riskySettings: Check = {
  name: 'risky-settings',
  group: 'settings',
  looksAt: 'settings that contradict each other, or are not safe in this environment',
  run(patient) {
    const { environment } = patient;
    if (environment === undefined) throw new NotChecked('DEPLOYMENT_ENVIRONMENT is not valid');
    const findings = RULES.flatMap((rule) => rule(patient)).filter((found) => found !== false);
    return Promise.resolve(orOk(findings, `nothing that is not safe in ${environment}`));
  },
};
