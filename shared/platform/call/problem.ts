import type { Reply } from './reply.ts';

/** Every `code` of the API, with its status and title. Codes are stable, because clients depend on them. */
export const PROBLEM_CODES = {
  INVALID_REQUEST: [400, 'The request is not valid'],
  POLICY_NOT_FOUND: [400, 'There is no such policy or routing plan'],
  UNAUTHORIZED: [401, 'A valid credential is needed'],
  QUOTA_EXCEEDED: [402, 'The free allowance is spent'],
  PAYMENT_REQUIRED: [402, 'The subscription does not cover this'],
  INSUFFICIENT_RBAC: [403, 'The credential lacks the permission'],
  TENANT_MISMATCH: [403, 'The request names another tenant'],
  NOT_FOUND: [404, 'There is no such thing'],
  METHOD_NOT_ALLOWED: [405, 'The method is not allowed here'],
  CONFLICT: [409, 'The request conflicts with the current state'],
  PRECONDITION_FAILED: [412, 'The thing was changed in the meantime'],
  PAYLOAD_TOO_LARGE: [413, 'The body is too large'],
  UNSUPPORTED_MEDIA_TYPE: [415, 'The body’s media type or encoding is not supported'],
  IDEMPOTENCY_MISMATCH: [422, 'The idempotency key was used with another request'],
  RATE_LIMITED: [429, 'Too many requests'],
  DETECTOR_OVERLOADED: [429, 'The detector is overloaded'],
  INTERNAL_ERROR: [500, 'Something went wrong on our side'],
  DEPENDENCY_UNAVAILABLE: [503, 'A dependency is unavailable'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof PROBLEM_CODES;

/**
 * One fault of a request: where it is (an RFC 6901 pointer into the body, or `query/…`, `path/…`, `header/…`) and what is
 * wrong.
 */
export interface Fault {
  readonly pointer: string;
  readonly detail: string;
}

/** The parts of a problem besides its code. */
export interface ProblemOptions {
  readonly detail?: string;
  readonly errors?: readonly Fault[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the problem document. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** Goes only to the log. */
  readonly cause?: unknown;
}

/** A refusal that the client sees. Code below the wrapper throws it. The answer is RFC 9457 problem+json. */
export class Problem extends Error {
  override name = 'Problem';
  readonly code: ProblemCode;
  readonly status: number;
  readonly options: ProblemOptions;
  constructor(code: ProblemCode, options: ProblemOptions = {}) {
    super(code, { cause: options.cause });
    this.code = code;
    this.status = PROBLEM_CODES[code][0];
    this.options = options;
  }
}

/** 401, with the header that says how to authenticate. */
export function unauthorized(detail: string): Problem {
  return new Problem('UNAUTHORIZED', { detail, headers: { 'www-authenticate': 'Bearer realm="comply-ai"' } });
}

/** The problem document's media type. */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** The problem as an answer. With `traceId`, support can find the request. The answer contains nothing private. */
export function problemReply(problem: Problem, traceId: string, instance: string): Reply {
  const { detail, errors, headers, members } = problem.options;
  return {
    status: problem.status,
    headers: { ...headers, 'content-type': PROBLEM_MEDIA_TYPE },
    body: {
      type: `https://docs.comply-ai.com/problems/${problem.code.toLowerCase().replaceAll('_', '-')}`,
      title: PROBLEM_CODES[problem.code][1],
      status: problem.status,
      code: problem.code,
      ...(detail === undefined ? {} : { detail }),
      instance,
      trace_id: traceId,
      ...(errors === undefined ? {} : { errors }),
      ...members,
    },
  };
}
