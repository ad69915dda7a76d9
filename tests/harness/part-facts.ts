import type { StorageAccount } from '../../dev/azurite/start-azurite.ts';

// The answers of the run's process to requests for parts.

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

/** The blob service of this run. Each test file uses its own account. */
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

/** The parts that a test file can ask for, with the types of the answers. */
export interface PartFacts {
  postgres: PostgresFacts;
  redis: RedisFacts;
  azurite: AzuriteFacts;
  app: AppFacts;
  /** The app of tests/fixture-app. */
  'fixture-app': AppFacts;
  number: NumberFacts;
}
