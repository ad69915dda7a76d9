/** A request to $cbs or $management; every field is a client's word. */
export interface Request {
  readonly properties: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/** What such a request is answered with; without a body when there is nothing to tell. */
export interface Reply {
  readonly properties: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}
