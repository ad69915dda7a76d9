/**
 * An answer before it is written. `Body` is what clients read as JSON; undefined if there is no body. An endpoint accepts
 * only the replies in its `responses`, so a body that differs from its schema does not compile.
 */
export interface Reply<Status extends number = number, Body = unknown> {
  readonly status: Status;
  readonly headers?: ReplyHeaders;
  readonly body: Body | Written<Body>;
}

/** Headers of a reply, with names in lower case. */
export type ReplyHeaders = Readonly<Record<string, string>>;

/**
 * A body that is already JSON text and is sent unchanged: a page, whose items are written one by one to measure them, or a
 * stored first answer. `Body` is a phantom type: it says what the text was written from, but nothing checks it. Only
 * `pageReply` and `replay` make one.
 */
export class Written<Body> {
  declare protected readonly writtenFrom: Body;
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** A body of another media type than JSON, which is sent unchanged. Its reply sets the media type. */
export class OtherText {
  // Private, so that another object with a text does not match this type.
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  get text(): string {
    return this.#text;
  }
}

/** 304: the client has the current version. Any route may answer it. */
export interface NotModified {
  readonly status: 304;
  readonly headers: ReplyHeaders;
}

// `NoInfer`: the type of the body comes from the place that gets the reply, not from the argument. So a field that the
// schema does not have is an error at that field. If the place does not determine one type, name it: `ok<Mapping>(…)`.

/** 200 with a JSON body. */
export function ok<Body>(body: NoInfer<Body>, headers?: ReplyHeaders): Reply<200, Body> {
  return headers === undefined ? { status: 200, body } : { status: 200, body, headers };
}

/** 201 with `Location`. */
export function created<Body>(
  location: string,
  body: NoInfer<Body>,
  headers: ReplyHeaders = {},
): Reply<201, Body> {
  return { status: 201, body, headers: { ...headers, location } };
}

/** 202: the request continues in the background. */
export function accepted<Body>(body: NoInfer<Body>): Reply<202, Body> {
  return { status: 202, body };
}

/** 204. */
export type NoContent = Reply<204, undefined>;
/** 204. */
export const noContent: NoContent = { status: 204, body: undefined };

/** 304 with the headers that the whole answer would have. */
export function notModified(headers: ReplyHeaders): NotModified {
  return { status: 304, headers };
}

/** 200 with a text of another media type than JSON. */
export function okText(contentType: string, text: string, headers: ReplyHeaders = {}): Reply<200, OtherText> {
  return { status: 200, body: new OtherText(text), headers: { ...headers, 'content-type': contentType } };
}

/** The text of a reply's body; undefined where there is none. */
export function textOf(reply: Reply | NotModified): string | undefined {
  if (!('body' in reply) || reply.body === undefined) return undefined;
  const { body } = reply;
  return body instanceof Written || body instanceof OtherText ? body.text : JSON.stringify(body);
}
