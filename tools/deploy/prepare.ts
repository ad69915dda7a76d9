import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { BICEP_FOLDER, CHOSEN } from '../bicep/compile-templates.ts';
import type { Tokens } from './azure-resources.ts';
import { readBeforeProvision } from './environment.ts';

/** Who deploys, as `main.bicep` wants to know. */
export interface Deployer {
  readonly AZURE_PRINCIPAL_ID: string;
  readonly AZURE_PRINCIPAL_NAME: string;
  readonly AZURE_PRINCIPAL_TYPE: 'User' | 'ServicePrincipal';
}

const claims = z.object({
  oid: z.guid(),
  idtyp: z.string().optional(),
  upn: z.string().optional(),
  unique_name: z.string().optional(),
  preferred_username: z.string().optional(),
});

/**
 * Who a token of Azure is for. `name` is what the environment says already: a token has a person's name, but not an
 * application's. @throws Error when nobody says it.
 */
export function readDeployer(token: string, name: string | undefined): Deployer {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  const said = claims.parse(JSON.parse(payload));
  const isApplication = said.idtyp === 'app';
  const found =
    name ?? (isApplication ? undefined : (said.upn ?? said.unique_name ?? said.preferred_username));
  if (found === undefined) {
    throw new Error(
      'An application deploys, and its token does not say its name: azd env set AZURE_PRINCIPAL_NAME <display name>',
    );
  }
  return {
    AZURE_PRINCIPAL_ID: said.oid,
    AZURE_PRINCIPAL_NAME: found,
    AZURE_PRINCIPAL_TYPE: isApplication ? 'ServicePrincipal' : 'User',
  };
}

/** The first day of a moment's month, as a budget wants it. */
export function firstOfMonth(now: Date): string {
  return `${now.toISOString().slice(0, 7)}-01`;
}

/**
 * Before `azd provision`: chooses the environment's parameter file, which azd finds under the name main.bicepparam, and notes
 * who deploys and when the budget began.
 */
export async function prepare(
  environment: NodeJS.ProcessEnv,
  tokens: Tokens,
  set: (name: string, value: string) => Promise<void>,
  now: Date,
  folder = BICEP_FOLDER,
): Promise<void> {
  const given = readBeforeProvision(environment);
  const token = await tokens('https://management.azure.com/.default');
  for (const [name, value] of Object.entries(readDeployer(token, given.AZURE_PRINCIPAL_NAME))) {
    if (environment[name] !== value) await set(name, String(value));
  }
  // Noted once: Azure refuses to move the beginning of a budget.
  if (given.BUDGET_START_DATE === undefined) await set('BUDGET_START_DATE', firstOfMonth(now));
  await copyFile(path.join(folder, `${given.DEPLOYMENT_ENVIRONMENT}.bicepparam`), path.join(folder, CHOSEN));
}
