/** A dependency could not answer; the caller may try again. Becomes 503 with Retry-After. */
export class DependencyUnavailable extends Error {
  override name = 'DependencyUnavailable';
  readonly dependency: string;
  constructor(dependency: string, cause?: unknown) {
    super(`${dependency} is unavailable`, { cause });
    this.dependency = dependency;
  }
}

/** Where in SQLSTATE's classes a failure of the database lies, as far as this app's answers differ. */
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

/** Whether a failure means that its connection is gone or was never made, by the driver's code or the server's. */
export function isConnectionLost(error: unknown): boolean {
  const code = stringProperty(error, 'code') ?? '';
  return DRIVER_CODES.has(code) || code.startsWith('08') || /^57P0[123]$/.test(code);
}

function stringProperty(error: unknown, name: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'string' ? value : undefined;
}

/** The name of the constraint that refused, if the error says. */
export function constraintOf(error: unknown): string | undefined {
  return stringProperty(error, 'constraint_name');
}

/** Sorts a failure by SQLSTATE (PostgreSQL appendix A) or by the driver's own code; never by its text, but where no code tells. */
export function faultOf(error: unknown): DatabaseFault {
  if (error instanceof DependencyUnavailable) return 'unavailable';
  const code = stringProperty(error, 'code') ?? '';
  if (DRIVER_CODES.has(code)) return 'unavailable';
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
 * The SQLSTATE of a failure that the data itself causes, and that the same data will cause again: a value out of range or
 * malformed (class 22), a constraint (23), a size past a limit (54). Undefined for every other failure.
 */
export function dataFaultOf(error: unknown): string | undefined {
  const code = stringProperty(error, 'code') ?? '';
  return /^(22|23|54)[0-9A-Z]{3}$/.test(code) ? code : undefined;
}
