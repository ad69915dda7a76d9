import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { ENVIRONMENTS } from '../bicep/compile-templates.ts';

const guid = z.guid();
const text = z.string().min(1);

/** What `azd` knows before it makes anything. */
const beforeProvision = z.object({
  DEPLOYMENT_ENVIRONMENT: z.enum(ENVIRONMENTS, {
    error: `must be one of ${ENVIRONMENTS.join(', ')}: azd env set DEPLOYMENT_ENVIRONMENT dev`,
  }),
  ALERT_EMAILS: z
    .string({ error: 'must say who is told when something breaks: azd env set ALERT_EMAILS …' })
    .min(3),
  AZURE_PRINCIPAL_NAME: text.optional(),
  BUDGET_START_DATE: text.optional(),
});

/** Where the deployment runs: in the network, or at a public address that is let in while it runs. */
const deployFrom = z.string().refine((from) => from === 'inside' || isIPv4(from), {
  error: 'must be `inside` (on a machine in the network) or this machine’s public IPv4 address',
});

/** What `azd` knows afterwards: the outputs of main.bicep. */
const afterProvision = z.object({
  DEPLOYMENT_ENVIRONMENT: z.enum(ENVIRONMENTS),
  AZURE_SUBSCRIPTION_ID: guid,
  AZURE_RESOURCE_GROUP: text,
  AZURE_PRINCIPAL_NAME: text,
  APP_NAME: text,
  API_URL: z.url(),
  API_HOST: text,
  CORE_SERVER: text,
  CORE_HOST: text,
  BILLING_SERVER: text,
  BILLING_HOST: text,
  ANALYTICS_SERVER: text,
  ANALYTICS_HOST: text,
  APP_PRINCIPAL_ID: guid,
  JOBS_PRINCIPAL_ID: guid,
  APP_VAULT: text,
  APP_VAULT_URL: z.url(),
  GATEWAY_VAULT: text,
  GATEWAY_VAULT_URL: z.url(),
  SERVICE_BUS_NAMESPACE: text,
  EVIDENCE_BLOB_URI: z.url(),
  DEPLOY_FROM: deployFrom.default('inside'),
  /** The certificate's name in its vault, once it is there. */
  GATEWAY_CERTIFICATE: text.optional(),
  /** A certificate of no authority, for an environment that only its makers call. */
  GATEWAY_SELF_SIGNED: z.stringbool().optional(),
});

export type BeforeProvision = z.output<typeof beforeProvision>;
export type Deployment = z.output<typeof afterProvision>;

function read<S extends z.ZodType>(schema: S, environment: NodeJS.ProcessEnv): z.output<S> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `  ${path.join('.')}: ${message}`);
  throw new Error(`The deployment's environment is not complete:\n${faults.join('\n')}`);
}

/** @throws Error with every fault at once. */
export function readBeforeProvision(environment: NodeJS.ProcessEnv): BeforeProvision {
  return read(beforeProvision, environment);
}

/** @throws Error with every fault at once. */
export function readDeployment(environment: NodeJS.ProcessEnv): Deployment {
  return read(afterProvision, environment);
}
