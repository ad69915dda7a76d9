import { tlsFaultOf } from '../../../shared/platform/tls/tls.ts';
import { codeOf, describeError } from '../describe-error.ts';
import { problem, type Finding } from '../check.ts';
import type { Patient } from '../patient.ts';

/** Whether no server was reached at all. */
export function isAway(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  return (
    /^(ECONN|ETIMEDOUT|ENOTFOUND|EAI_|EHOST|ENET)/.test(code) ||
    (error instanceof Error && /timeout expired|Connection terminated/.test(error.message))
  );
}

/** What keeps a role out of its database, and what lets it in. */
export function connectFault(patient: Patient, name: string, text: string, error: unknown): Finding {
  const url = new URL(text);
  const host = `${url.hostname}:${url.port === '' ? '5432' : url.port}`;
  const role = decodeURIComponent(url.username);
  const database = decodeURIComponent(url.pathname.slice(1));
  const server = url.hostname.split('.')[0] ?? url.hostname;
  const start = patient.isLocal
    ? 'npm start'
    : `az postgres flexible-server show --resource-group ${patient.resourceGroup} --name ${server} --query state; then firewall, private endpoint and DNS of ${url.hostname}`;
  const code = codeOf(error) ?? '';
  switch (code) {
    case '28P01':
    case '28000':
      return problem(
        `${host} refuses ${role}: ${describeError(error)}`,
        patient.setting('DATABASE_AUTH') === 'entra'
          ? `make ${role} an Entra principal of the server: select * from pgaadauth_create_principal('${role}', false, false)`
          : `correct the password in ${name}, or set it on the server: alter role ${role} password '…'`,
      );
    case '3D000':
      return problem(`${host} has no database ${database}`, `correct ${name}, or make it: npm run migrate`);
    case '42501':
      return problem(
        `${role} may not connect to ${database} at ${host}`,
        `npm run migrate, which grants it, or: grant connect on database "${database}" to ${role}`,
      );
    case '53300':
      return problem(
        `${host} has no free connection: ${describeError(error)}`,
        'raise max_connections, or lower DATABASE_POOL_MAX and DATABASE_CROSS_TENANT_POOL_MAX',
      );
    default:
      if (error instanceof Error && error.message.includes('does not support SSL'))
        return problem(
          `${host} offers no encryption`,
          'az postgres flexible-server parameter set --name require_secure_transport --value on',
        );
      if (tlsFaultOf(error) !== undefined)
        return problem(
          `${host}: its certificate is not trusted: ${describeError(error)}`,
          `use the server's own host name in ${name}; a private authority’s certificate goes into EXTRA_CA_CERTS`,
        );
      return problem(`${host} does not answer: ${describeError(error)}`, start);
  }
}
