import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { readiness, type Readiness } from '../../../shared/domains/operations/health.ts';
import { isLoopback } from '../../../shared/platform/config/connection-settings.ts';
import { notChecked, ok, orOk, problem, warning, type Check, type Finding } from '../check.ts';
import { describeError } from '../describe-error.ts';
import { NotChecked } from '../not-checked.ts';
import type { Patient } from '../patient.ts';
import { askPublic, publicUrl, type PublicAnswer } from './ask-public.ts';

/** An answer, for a check that has nothing to say of an API that does not answer. @throws NotChecked for that. */
async function askReachable(patient: Patient, path: string): Promise<PublicAnswer> {
  const url = publicUrl(patient);
  try {
    return await askPublic(patient, path);
  } catch {
    throw new NotChecked(`${url.host} does not answer, see api-health`);
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** An instance keeps its answer for a second. */
const AGAIN_MS = 1_200;

/**
 * What the instance says of its dependencies; undefined if it is not this API that answers. An instance that has just started opens
 * its connections while it probes, and may find them too slow. So it is asked again before that counts.
 */
async function askReady(patient: Patient): Promise<{ status: number; state: Readiness | undefined }> {
  const ask = async (): Promise<{ status: number; state: Readiness | undefined }> => {
    const { status, body } = await askPublic(patient, '/api/health/ready');
    return { status, state: readiness.safeParse(parse(body)).data };
  };
  const first = await ask();
  if (first.state?.dependencies.every((part) => part.status !== 'unhealthy') !== false) return first;
  await delay(AGAIN_MS);
  return ask();
}

/** Whether the API answers, and what its instance says of its own dependencies. */
export const publicHealth: Check = {
  name: 'api-health',
  group: 'public',
  looksAt: 'whether the API answers, and what it says of its dependencies',
  async run(patient) {
    const url = publicUrl(patient);
    const { host } = url;
    const start = isLoopback(url)
      ? 'npm start'
      : 'az functionapp show --query state; then the gateway’s backend health and the DNS name';
    let answer;
    try {
      answer = await askReady(patient);
    } catch (error) {
      return problem(`${host} does not answer: ${describeError(error)}`, start);
    }
    if (answer.state === undefined)
      return problem(
        `${host} answers ${answer.status}, and not as this API does`,
        answer.status === 500
          ? 'the app did not start, most likely by a broken setting: see settings, and the log'
          : start,
      );
    const { status, dependencies } = answer.state;
    const findings = dependencies
      .filter((part) => part.status === 'unhealthy')
      .map((part): Finding => {
        const text = `the API says that ${part.name} is unhealthy${part.detail === undefined ? '' : `: ${part.detail}`}`;
        return problem(
          text,
          'see the group of that dependency above; from outside: its firewall, private endpoint and state',
        );
      });
    return orOk(findings, `${host} is ${status}`);
  },
};

/** Whether a request without a key is refused: something in front could answer for the API, or let everybody in. */
export const publicAuthentication: Check = {
  name: 'api-authentication',
  group: 'public',
  looksAt: 'whether a request without a key is refused, by the API itself',
  async run(patient) {
    const { status, headers } = await askReachable(patient, '/api/v1/records');
    if (status !== 401)
      return problem(
        `a request without a key gets ${status} instead of 401`,
        'see what is in front of the API: it must pass requests unchanged, and no credential of its own',
      );
    return headers.has('x-ms-request-id')
      ? ok('401')
      : warning(
          '401, but without x-ms-request-id: something in front answers, or removes it',
          'let the gateway pass the headers of answers',
        );
  },
};

/** Headers that a browser needs to be safe. */
export const publicHeaders: Check = {
  name: 'api-headers',
  group: 'public',
  looksAt: 'headers of answers: HSTS, no-store, nothing about the servers’ software',
  async run(patient) {
    const url = publicUrl(patient);
    const { headers } = await askReachable(patient, '/api/health/live');
    const findings: Finding[] = [];
    const rewrite = 'az network application-gateway rewrite-rule create --response-headers';
    if (url.protocol === 'https:' && !headers.has('strict-transport-security'))
      findings.push(
        warning('no Strict-Transport-Security', `${rewrite} Strict-Transport-Security="max-age=31536000"`),
      );
    if (!/no-store/.test(headers.get('cache-control') ?? ''))
      findings.push(
        warning(
          'Cache-Control is not no-store: a proxy may keep answers',
          'let the gateway pass Cache-Control',
        ),
      );
    for (const name of ['x-powered-by', 'x-aspnet-version'])
      if (headers.has(name)) findings.push(warning(`${name} names software`, `${rewrite} ${name}=`));
    return orOk(findings, 'as they should be');
  },
};

const documentSchema = z.object({
  info: z.object({ version: z.string() }),
  paths: z.record(z.string(), z.unknown()),
});

/** The public page of the service's state, if this build has one. */
export const publicStatus: Check = {
  name: 'api-status',
  group: 'public',
  looksAt: 'the API’s document, and its public state if it has one',
  async run(patient) {
    const { status, body } = await askReachable(patient, '/api/openapi.json');
    const document = documentSchema.safeParse(parse(body));
    if (status !== 200 || !document.success)
      return problem(
        `/api/openapi.json answers ${status}, and not with the API’s document`,
        'see what is in front of the API: it must pass every path below /api',
      );
    const { info, paths } = document.data;
    const path = Object.keys(paths).find((one) => /^(\/api)?(\/v\d+)?\/status$/.test(one));
    if (path === undefined) return [ok(`version ${info.version}`), notChecked('this build has no /status')];
    const full = path.startsWith('/api') ? path : `/api${path}`;
    const answer = await askReachable(patient, full);
    return answer.status === 200
      ? ok(`version ${info.version}; ${full} answers`)
      : problem(`${full} answers ${answer.status}`, 'see api-health');
  },
};
