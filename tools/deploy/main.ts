import { entraCredential } from '../../shared/platform/entra/credential.ts';
import { AzureResources, type Tokens } from './azure-resources.ts';
import { setInAzd } from './azd.ts';
import { closeDoor, openDoor, withOpenDoor } from './door.ts';
import { readDeployment, type Deployment } from './environment.ts';
import { packageApp } from './package-app.ts';
import { prepare } from './prepare.ts';
import { migrate, seed } from './prepare-databases.ts';
import { CERTIFICATE, makeSecrets, PEPPER_SECRET, provideCertificate } from './secrets.ts';
import { smokeTest } from './smoke-test.ts';
import { Vault } from './vault.ts';

const USAGE = `usage: npm run deploy -- STEP

The steps of azure.yaml, in the order in which azd runs them:
  prepare             before provision: chooses the parameter file, notes who deploys
  provisioned         after provision: databases, secrets, certificate
  package             before package: builds what is deployed into .local/package
  open                before deploy: lets this machine reach the deployment endpoint
  deployed            after deploy: closes that again, and tests the API through the gateway
By hand:
  contract            when no older build runs: removes from the databases what only an older build needed
  close               closes everything that a deployment from outside has opened
  operator-key NAME   makes an operator's key and prints it
Reads azd's environment: azd env get-values, or run a step with azd env exec (see docs/deployment.md).`;

const tokens: Tokens = async (scope) => {
  const token = await (await entraCredential()).getToken(scope);
  if (token === null) throw new Error('not signed in to Azure: azd auth login');
  return token.token;
};

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** The app reads a secret that was missing at its start only when it is told to. */
async function refreshSecretReferences(azure: AzureResources, deployment: Deployment): Promise<void> {
  const { AZURE_SUBSCRIPTION_ID: subscription, AZURE_RESOURCE_GROUP: group, APP_NAME: app } = deployment;
  const site = `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.Web/sites/${app}`;
  await azure.send('POST', `${site}/config/configreferences/appsettings/refresh`, '2025-03-01');
}

async function provisioned(azure: AzureResources, deployment: Deployment): Promise<void> {
  const appVault = new Vault(deployment.APP_VAULT_URL, tokens);
  await withOpenDoor(azure, deployment, ['databases', 'vaults'], async () => {
    const made = await makeSecrets(appVault);
    if (made.length > 0) {
      say(`made: ${made.join(', ')}`);
      await refreshSecretReferences(azure, deployment);
    }
    await migrate(deployment);
    await seed(deployment, (await appVault.readSecret(PEPPER_SECRET)) ?? '');
    const certificate = await provideCertificate(new Vault(deployment.GATEWAY_VAULT_URL, tokens), deployment);
    if (deployment.GATEWAY_CERTIFICATE === undefined) await setInAzd('GATEWAY_CERTIFICATE', certificate);
  });
}

async function deployed(azure: AzureResources, deployment: Deployment): Promise<void> {
  if (deployment.DEPLOY_FROM !== 'inside') await closeDoor(azure, deployment, ['app']);
  const vault = new Vault(deployment.GATEWAY_VAULT_URL, tokens);
  const trusted: string[] = [];
  await withOpenDoor(azure, deployment, ['vaults'], async () => {
    const certificate = await vault.readCertificate(deployment.GATEWAY_CERTIFICATE ?? CERTIFICATE);
    if (certificate !== undefined) trusted.push(certificate);
  });
  const { status, dependencies } = await smokeTest(deployment.API_URL, { trusted });
  for (const { name, status: state } of dependencies) say(`  ${name}: ${state}`);
  say(`${deployment.API_URL} is ${status}`);
}

async function makeOperatorKey(azure: AzureResources, deployment: Deployment, name: string): Promise<void> {
  await withOpenDoor(azure, deployment, ['databases', 'vaults'], async () => {
    const pepper = await new Vault(deployment.APP_VAULT_URL, tokens).readSecret(PEPPER_SECRET);
    if (pepper === undefined) throw new Error(`${deployment.APP_VAULT} has no ${PEPPER_SECRET}: run azd up`);
    await seed(deployment, pepper, name);
  });
}

async function main([step, name, ...rest]: readonly string[]): Promise<void> {
  const azure = new AzureResources(tokens);
  const deployment = (): Deployment => readDeployment(process.env);
  const wantsName = step === 'operator-key';
  if ((name !== undefined) !== wantsName || rest.length > 0) throw new Error(USAGE);
  switch (step) {
    case 'prepare':
      return prepare(process.env, tokens, setInAzd, new Date());
    case 'provisioned':
      return provisioned(azure, deployment());
    case 'package':
      return packageApp();
    case 'open':
      return openDoor(azure, deployment(), ['app']);
    case 'deployed':
      return deployed(azure, deployment());
    case 'close':
      return closeDoor(azure, deployment());
    case 'contract':
      return withOpenDoor(azure, deployment(), ['databases'], () => migrate(deployment(), ['--contract']));
    case 'operator-key':
      return makeOperatorKey(azure, deployment(), name ?? '');
    case undefined:
    default:
      throw new Error(USAGE);
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
