/** An answer before it is written: the body is JSON, or a ready text with its own content-type. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /**
   * The body as text, sent as it is with the reply's own `content-type`: another media type, the stored bytes of a first
   * answer, or a page whose items were written already.
   */
  readonly text?: string;
}

/** 200 with a JSON body. */
export function ok(body: unknown, headers?: Readonly<Record<string, string>>): Reply {
  return headers === undefined ? { status: 200, body } : { status: 200, body, headers };
}

/** 201 with `Location`. */
export function created(
  location: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return { status: 201, body, headers: { ...headers, location } };
}

/** 204. */
export const noContent: Reply = { status: 204 };
