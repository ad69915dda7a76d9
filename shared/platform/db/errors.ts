import { tlsFaultOf } from '../tls/tls.ts';

/** A dependency is unavailable. The caller may try again: the answer is 503 with Retry-After. */
export class DependencyUnavailable extends Error {
  override name = 'DependencyUnavailable';
  readonly dependency: string;
  /** `told`: what the client is told, if it is more than that the dependency is unavailable. */
  constructor(dependency: string, cause?: unknown, told?: string) {
    super(told ?? `${dependency} is unavailable`, { cause });
    this.dependency = dependency;
  }
}

/** The kinds of database errors that this app answers differently. */
export type DatabaseFault =
  | 'unavailable'
  | 'unique'
  | 'foreign_key'
  | 'check'
  | 'no_partition'
  | 'tenant_isolation'
  | 'contention'
  | 'other';

const DRIVER_CODES = new Set([
  'CONNECT_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
]);

/**
 * Whether an error means that the connection is lost or could not be made. Judged by the code of the driver or the server.
 */
export function isConnectionLost(error: unknown): boolean {
  const code = stringProperty(error, 'code') ?? '';
  return (
    DRIVER_CODES.has(code) ||
    tlsFaultOf(error) !== undefined ||
    code.startsWith('08') ||
    /^57P0[123]$/.test(code)
  );
}

function stringProperty(error: unknown, name: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'string' ? value : undefined;
}

/** The name of the violated constraint, if the error has one. */
export function constraintOf(error: unknown): string | undefined {
  return stringProperty(error, 'constraint_name');
}

/** Sorts an error by SQLSTATE (PostgreSQL appendix A) or by the driver's code, never by its message. */
export function faultOf(error: unknown): DatabaseFault {
  if (error instanceof DependencyUnavailable) return 'unavailable';
  const code = stringProperty(error, 'code') ?? '';
  if (DRIVER_CODES.has(code) || tlsFaultOf(error) !== undefined) return 'unavailable';
  switch (code) {
    case '23505':
      return 'unique';
    case '23503':
      return 'foreign_key';
    case '23514':
      // A missing partition has the SQLSTATE of a check, but names no constraint.
      return constraintOf(error) === undefined ? 'no_partition' : 'check';
    case '42501':
      return 'tenant_isolation';
    case '40001':
    case '40P01':
    case '55P03':
    case '57014':
      return 'contention';
    case '57P01':
    case '57P02':
    case '57P03':
      return 'unavailable';
    default:
      // Class 08: connection exceptions; class 53: out of connections, memory or disk.
      return code.startsWith('08') || code.startsWith('53') ? 'unavailable' : 'other';
  }
}

/**
 * The SQLSTATE of an error that the data itself causes, so that a retry fails too: a value out of range or malformed (class
 * 22), a constraint (23), a size over a limit (54). Undefined for every other error.
 */
export function dataFaultOf(error: unknown): string | undefined {
  const code = stringProperty(error, 'code') ?? '';
  return /^(22|23|54)[0-9A-Z]{3}$/.test(code) ? code : undefined;
}
