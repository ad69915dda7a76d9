/**
 * An answer before it is written. `Body` is what clients read as JSON; undefined where there is no body. An endpoint takes no
 * reply but those that its `responses` document, so a body that differs from its schema does not compile.
 */
export interface Reply<Status extends number = number, Body = unknown> {
  readonly status: Status;
  readonly headers?: ReplyHeaders;
  readonly body: Body | Written<Body>;
}

/** Headers of a reply, by their names in lower case. */
export type ReplyHeaders = Readonly<Record<string, string>>;

/**
 * A body that is JSON text already, and is sent as it is: a page, whose items are written one by one to be measured, or a
 * first answer as it was stored. `Body`, what the text was written from, is a phantom type: there is no such value, and
 * nothing checks it. Only `pageReply` and `replay` make one, each from what it knows of the text.
 */
export class Written<Body> {
  declare protected readonly writtenFrom: Body;
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** A body of another media type than JSON, which is sent as it is. Its reply names the media type. */
export class OtherText {
  // Private, so that no other object with a text passes for one.
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  get text(): string {
    return this.#text;
  }
}

/** 304: the client has the thing as it stands. Any route may answer it. */
export interface NotModified {
  readonly status: 304;
  readonly headers: ReplyHeaders;
}

// `NoInfer`: the body's type is that of the place to which the reply is returned, not that of what is given. So a field that
// the schema does not have is an error, at that field. Where the place does not say one type, name it: `ok<Mapping>(…)`.

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

/** 202: what was asked for goes on elsewhere. */
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
