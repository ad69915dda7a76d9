import { openSession, type OpenedSession } from '../../shared/domains/identity/sessions/open-session.ts';
import { seedPerson } from '../../shared/domains/identity/sign-in/seed-person.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import type { TestApp } from './app.ts';

/** A person of a test. */
export interface TestPerson {
  readonly userId: string;
  readonly email: string;
  readonly password: string;
}

/** Makes a person with a confirmed address and roles by tenant. */
export async function makeTestPerson(
  app: TestApp,
  roles: Readonly<Record<string, string>>,
): Promise<TestPerson> {
  const person = { email: `${newId()}@example.com`, password: `the password ${newId()}` };
  const userId = await app.services.crossTenant.core.transaction((transaction) =>
    seedPerson(transaction, { ...person, firstName: 'Jo', roles }, new Date()),
  );
  return { ...person, userId };
}

/** Makes a person with a role in a tenant, and opens a session there. */
export async function openPersonsSession(
  app: TestApp,
  tenantId: string,
  role: string,
): Promise<TestPerson & OpenedSession> {
  const person = await makeTestPerson(app, { [tenantId]: role });
  const origin = { traceId: '0', ip: null, userAgent: null };
  const session = await app.services.crossTenant.core.transaction((transaction) =>
    openSession(
      app.services,
      transaction,
      { tenantId, userId: person.userId, methods: ['pwd'], origin },
      new Date(),
    ),
  );
  return { ...person, ...session };
}
