/** A request to $cbs or $management. No field is checked yet. */
export interface Request {
  readonly properties: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/** The answer to such a request. */
export interface Reply {
  readonly properties: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}
