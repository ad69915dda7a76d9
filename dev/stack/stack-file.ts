import { renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { PerDatabase } from '../../tools/migrate/databases.ts';
import type { SeedResult } from './secrets.ts';

/** The content of stack.json. The file exists only while the stack is ready. */
export interface StackFile {
  base_url: string;
  tenants: SeedResult['tenants'];
  operator: string;
  /** Passwords of people. */
  people: SeedResult['people'];
  postgres: PerDatabase<string>;
  postgres_app: PerDatabase<string>;
  service_bus: string;
  blob: string;
  redis: string | null;
  /** The stand-in for Stripe. Null with an account at Stripe itself: its key is not written here. */
  stripe: { url: string; secret_key: string; webhook_secret: string } | null;
  /**
   * The stand-in for Entra ID, which acme believes: `token_url` gives a token to whoever asks, see `dev/oidc/server.ts`. Null in a stack
   * without it.
   */
  oidc: { issuer: string; audience: string; tid: string; token_url: string; tenant_id: string } | null;
  /** The app's settings, for `npm run doctor`. Those of an account at Stripe itself are not written here. */
  settings: Record<string, string>;
  pid: number;
}

function findStackFile(folder: string): string {
  return path.join(folder, 'stack.json');
}

/** Writes the file, all or nothing. Only the folder's owner can read it. */
export function writeStackFile(folder: string, content: StackFile): void {
  const file = findStackFile(folder);
  writeFileSync(`${file}.new`, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Removes the file, if it is there. */
export function removeStackFile(folder: string): void {
  rmSync(findStackFile(folder), { force: true });
}
