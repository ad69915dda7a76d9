import { ServiceBusClient } from '@azure/service-bus';
import { openSession } from '../../shared/domains/identity/sessions/open-session.ts';
import {
  endpointDisabledData,
  notificationData,
  USER_INVITED,
  userInvitedData,
  WEBHOOK_ENDPOINT_DISABLED,
  type EndpointDisabledData,
  type UserInvitedData,
} from '../../shared/platform/bus/events.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import type { TestApp } from './app.ts';

/** A person with roles in one tenant, and the token of a session there. */
export interface TestMember {
  readonly userId: string;
  readonly email: string;
  readonly token: string;
  readonly sessionId: string;
}

/** Makes a person with roles in a tenant, each with its end, and signs them in. */
export async function signIn(
  app: TestApp,
  tenantId: string,
  roles: Readonly<Record<string, Date | null>>,
  columns: Readonly<Record<string, unknown>> = {},
): Promise<TestMember> {
  const userId = newId();
  const { core } = app.admin;
  const person = { user_id: userId, email: `${userId}@example.com`, is_verified: true, ...columns };
  await core`insert into users ${core(person as never)}`;
  for (const [role, end] of Object.entries(roles))
    await core`insert into user_role_assignments (tenant_id, user_id, role_name, expires_at) values (${tenantId}, ${userId}, ${role}, ${end})`;
  const { token, sessionId } = await openSessionOf(app, tenantId, userId);
  return { userId, email: person.email, token, sessionId };
}

/** Signs a person in to a tenant. */
export function openSessionOf(app: TestApp, tenantId: string, userId: string) {
  const origin = { traceId: '0', ip: '192.0.2.1', userAgent: 'test' };
  return app.services.crossTenant.core.transaction((transaction) =>
    openSession(app.services, transaction, { tenantId, userId, methods: ['pwd'], origin }, new Date()),
  );
}

/** Makes a tenant with the operator's key, and returns its owner key. */
export async function makeTenant(app: TestApp, tenantId: string): Promise<string> {
  const body = { tenant_id: tenantId, name: `Name of ${tenantId}`, plan_id: 'starter' };
  const made = await app.request('POST', '/api/v1/platform/tenants', { key: app.keys.operator, body });
  if (made.status !== 201) throw new Error(`the tenant was not made: ${JSON.stringify(made.body)}`);
  return made.body.owner_api_key as string;
}

/** Reads the queue for mails, as the sender of mails does. */
export function openMailbox(app: TestApp): {
  /** The invitations to an address that have come so far, oldest first. */
  readonly invitationsTo: (email: string) => Promise<UserInvitedData[]>;
  /** What has come so far for an address about endpoints that were switched off. */
  readonly endpointsDisabledTo: (email: string) => Promise<EndpointDisabledData[]>;
  readonly close: () => Promise<void>;
} {
  const client = new ServiceBusClient(app.broker.connectionString);
  const receiver = client.createReceiver('notifications', { receiveMode: 'receiveAndDelete' });
  const invitations: UserInvitedData[] = [];
  const disabled: EndpointDisabledData[] = [];
  const receive = async (): Promise<void> => {
    for (const { body } of await receiver.receiveMessages(50, { maxWaitTimeInMs: 200 })) {
      const events: unknown = typeof body === 'string' ? JSON.parse(body) : body;
      for (const event of (Array.isArray(events) ? events : [events]) as { type: string; data: unknown }[])
        if (event.type === USER_INVITED) invitations.push(userInvitedData.parse(event.data));
        else if (event.type === WEBHOOK_ENDPOINT_DISABLED)
          disabled.push(endpointDisabledData.parse(event.data));
        else notificationData.parse(event.data);
    }
  };
  return {
    async invitationsTo(email) {
      await receive();
      return invitations.filter((data) => data.email === email);
    },
    async endpointsDisabledTo(email) {
      await receive();
      return disabled.filter((data) => data.email === email);
    },
    close: () => client.close(),
  };
}
