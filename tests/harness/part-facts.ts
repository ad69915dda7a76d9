import type { StorageAccount } from '../../dev/azurite/start-azurite.ts';

// What the run's process answers when a test file asks for a part.

/** The PostgreSQL server of this run, and the databases to clone. */
export interface PostgresFacts {
  adminUrl: string;
  passwords: { comply_app: string; comply_jobs: string };
  templates: { core: string; billing: string; analytics: string };
}

/** The Redis of this run. */
export interface RedisFacts {
  url: string;
}

/** The blob service of this run; each test file takes an account of its own. */
export interface AzuriteFacts {
  endpoint: string;
  accounts: StorageAccount[];
}

/** The built app: the folder with host.json and package.json. */
export interface AppFacts {
  dir: string;
}

/** A number that no other test file of this run has. */
export interface NumberFacts {
  number: number;
}

/** Every request that a test file can make, and its answer. */
export interface PartFacts {
  postgres: PostgresFacts;
  redis: RedisFacts;
  azurite: AzuriteFacts;
  app: AppFacts;
  /** The app of tests/fixture-app. */
  'fixture-app': AppFacts;
  number: NumberFacts;
}
