import { connect, type ConnectionOptions, type SecureVersion } from 'node:tls';
import { DAY_MS } from '../../../shared/platform/time/clock.ts';
import { tlsFaultOf } from '../../../shared/platform/tls/tls.ts';
import { isLoopback } from '../../../shared/platform/config/connection-settings.ts';
import { ok, problem, warning, type Check } from '../check.ts';
import { codeOf, describeError } from '../describe-error.ts';
import { NotChecked } from '../not-checked.ts';
import type { Patient } from '../patient.ts';
import { askPublic, publicUrl } from './ask-public.ts';

/** Renewals fail and take days to mend. */
const SOON_DAYS = 21;
const HANDSHAKE_MS = 4_000;

function requireHttps(patient: Patient): URL {
  const url = publicUrl(patient);
  if (url.protocol === 'https:') return url;
  if (isLoopback(url)) throw new NotChecked('the API is on this machine, without TLS');
  throw new NotChecked(`${url.origin} is not https`, 'npm run doctor -- --url https://…');
}

/** Version of TLS, and whether the certificate is trusted and for how long. */
export const publicTls: Check = {
  name: 'api-tls',
  group: 'public',
  looksAt: 'the API’s TLS version, and whether its certificate is trusted and for how long',
  async run(patient) {
    const { hostname } = requireHttps(patient);
    let tls;
    try {
      ({ tls } = await askPublic(patient, '/api/health/live'));
    } catch (error) {
      if (tlsFaultOf(error) !== undefined)
        return problem(
          `the certificate of ${hostname} is not trusted: ${describeError(error)}`,
          'renew it, or correct its name or chain, at the gateway; for a private authority: --ca FILE',
        );
      throw new NotChecked(`${hostname} does not answer, see api-health`);
    }
    if (tls === undefined) throw new NotChecked('the connection has no TLS');
    const days = Math.floor((tls.validTo.getTime() - patient.clock.now().getTime()) / DAY_MS);
    const text = `${tls.protocol}, certificate of ${tls.issuer} until ${tls.validTo.toISOString().slice(0, 10)}`;
    if (days < SOON_DAYS)
      return (days < 7 ? problem : warning)(
        `${text}: ${days} days`,
        'renew it at the gateway (Key Vault certificate: az keyvault certificate show --query policy.lifetimeActions)',
      );
    return /^TLSv1\.[23]$/.test(tls.protocol)
      ? ok(text)
      : problem(text, 'set the gateway’s policy to AppGwSslPolicy20220101S, TLS 1.2 and later');
  },
};

/** The server's alert, or its hanging up. Other errors say nothing about the version. */
const REFUSALS =
  /ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|HANDSHAKE_FAILURE|ECONNRESET|VERSION_TOO_LOW|NO_PROTOCOLS/;

/** Whether the server agrees to a version of TLS. @throws an error that says nothing about the version. */
function accepts(options: ConnectionOptions, version: SecureVersion): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      {
        ...options,
        minVersion: version,
        maxVersion: version,
        // This side must offer what its own OpenSSL would not by default.
        ciphers: 'ALL:@SECLEVEL=0',
        rejectUnauthorized: false,
      },
      () => {
        socket.destroy();
        resolve(true);
      },
    );
    socket.setTimeout(HANDSHAKE_MS, () => socket.destroy(new Error('no answer')));
    socket.on('error', (error: Error) => {
      if (REFUSALS.test(codeOf(error) ?? '')) resolve(false);
      else reject(error);
    });
  });
}

const OLD = ['TLSv1', 'TLSv1.1'] as const;

/** Whether versions of TLS that are no longer safe are refused. */
export const oldTls: Check = {
  name: 'api-old-tls',
  group: 'public',
  looksAt: 'whether the API refuses TLS 1.0 and 1.1',
  async run(patient) {
    const url = requireHttps(patient);
    const options = { host: url.hostname, port: Number(url.port || 443), servername: url.hostname };
    let accepted: string[];
    try {
      accepted = (
        await Promise.all(OLD.map(async (version) => ((await accepts(options, version)) ? [version] : [])))
      ).flat();
    } catch (error) {
      throw new NotChecked(`${url.hostname} does not answer: ${describeError(error)}`);
    }
    return accepted.length === 0
      ? ok('TLS 1.0 and 1.1 are refused')
      : problem(
          `${accepted.join(' and ')} accepted`,
          'az network application-gateway ssl-policy set --policy-type Predefined --policy-name AppGwSslPolicy20220101S --gateway-name <gateway>',
        );
  },
};

/** Whether nothing is served without TLS. */
export const plainHttp: Check = {
  name: 'api-plain-http',
  group: 'public',
  looksAt: 'whether plain HTTP is refused, or only redirects',
  async run(patient) {
    const url = requireHttps(patient);
    const plain = new URL(`http://${url.hostname}${url.port === '' ? '' : `:${url.port}`}`);
    let answer;
    try {
      answer = await askPublic(patient, '/api/health/live', plain);
    } catch (error) {
      return ok(
        `port ${plain.port || 80} serves nothing without TLS (${codeOf(error) ?? describeError(error)})`,
      );
    }
    const to = answer.headers.get('location') ?? '';
    if ([301, 302, 307, 308].includes(answer.status) && to.startsWith('https://'))
      return ok(`plain HTTP only redirects to https (${answer.status})`);
    // A server of TLS that is spoken to without it says 400; nothing of the API is in that.
    if (answer.status === 400 || answer.status === 403 || answer.status === 421)
      return ok(`plain HTTP is refused (${answer.status})`);
    return problem(
      `plain HTTP is answered with ${answer.status}: a key that is sent there can be read`,
      'az functionapp update --set httpsOnly=true; at the gateway, redirect the listener of port 80, or remove it',
    );
  },
};
