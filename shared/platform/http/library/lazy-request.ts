import type { HttpRequest } from '@azure/functions';

/** A request as the worker hands it to the library, as far as this looks at it. */
export interface WorkerRequest {
  readonly url?: string | null;
  readonly method?: string | null;
  readonly headers?: Readonly<Record<string, string>> | null;
  readonly query?: Readonly<Record<string, string>> | null;
  readonly params?: Readonly<Record<string, string>> | null;
  readonly body?: { readonly bytes?: Uint8Array | null; readonly string?: string | null } | null;
  readonly nullableHeaders?: Readonly<Record<string, { readonly value?: string | null }>> | null;
  readonly nullableQuery?: Readonly<Record<string, { readonly value?: string | null }>> | null;
  readonly nullableParams?: Readonly<Record<string, { readonly value?: string | null }>> | null;
  readonly nativeRequest?: unknown;
}

type RequestClass = new (init: never) => HttpRequest;

function isEmpty(mapping: object | null | undefined): boolean {
  return mapping === null || mapping === undefined || Object.keys(mapping).length === 0;
}

/**
 * The library's request class, made ready only as far as it is used. The library turns each request into one of `fetch`,
 * whose body is a stream that has to be read; that alone costs more than all else that happens before the handler. Here
 * URL, headers, query, parameters and the body's bytes are the worker's own, and the library's object is made when anything
 * else is asked for, or where the worker hands over anything that is not plain.
 */
export function lazyRequest(original: RequestClass): RequestClass {
  return class LazyRequest implements HttpRequest {
    readonly #init: WorkerRequest;
    #library: HttpRequest | undefined;
    #url: string | undefined;
    #headers: Headers | undefined;
    #query: URLSearchParams | undefined;
    #bytesTaken = false;

    constructor(init: WorkerRequest) {
      this.#init = init;
      const { nativeRequest, nullableHeaders, nullableParams, nullableQuery, body } = init;
      const isPlain =
        nativeRequest === undefined &&
        isEmpty(nullableHeaders) &&
        isEmpty(nullableQuery) &&
        isEmpty(nullableParams) &&
        typeof init.url === 'string' &&
        typeof init.method === 'string' &&
        (body === undefined || body === null || body.bytes instanceof Uint8Array);
      if (!isPlain) this.#library = this.#make();
    }

    #make(): HttpRequest {
      const library = new original(this.#init as never);
      // Whoever has taken the bytes has used the body.
      if (this.#bytesTaken) library.arrayBuffer().catch(() => undefined);
      return library;
    }

    get #whole(): HttpRequest {
      return (this.#library ??= this.#make());
    }

    get url(): string {
      return (this.#url ??= this.#library?.url ?? new URL(this.#init.url ?? '').href);
    }

    get method(): string {
      return this.#library?.method ?? (this.#init.method ?? '').toUpperCase();
    }

    get headers(): Headers {
      return (this.#headers ??= this.#library?.headers ?? new Headers({ ...this.#init.headers }));
    }

    get query(): URLSearchParams {
      return (this.#query ??= this.#library?.query ?? new URLSearchParams({ ...this.#init.query }));
    }

    get params(): Record<string, string> {
      return this.#library?.params ?? { ...this.#init.params };
    }

    get user(): HttpRequest['user'] {
      return this.#whole.user;
    }

    get body(): HttpRequest['body'] {
      return this.#whole.body;
    }

    get bodyUsed(): boolean {
      return this.#library?.bodyUsed ?? this.#bytesTaken;
    }

    arrayBuffer(): Promise<ArrayBuffer> {
      if (this.#library !== undefined || this.#bytesTaken) return this.#whole.arrayBuffer();
      this.#bytesTaken = true;
      const hasNoBody = /^(get|head)$/i.test(this.#init.method ?? '');
      const bytes = hasNoBody ? undefined : this.#init.body?.bytes;
      return Promise.resolve(bytes === undefined || bytes === null ? new ArrayBuffer(0) : bufferOf(bytes));
    }

    blob(): ReturnType<HttpRequest['blob']> {
      return this.#whole.blob();
    }

    formData(): ReturnType<HttpRequest['formData']> {
      return this.#whole.formData();
    }

    json(): Promise<unknown> {
      return this.#whole.json();
    }

    text(): Promise<string> {
      return this.#whole.text();
    }

    clone(): HttpRequest {
      return this.#whole.clone();
    }
  };
}

/** Bytes as a buffer of their own: small ones lie in a pool with others' beside them. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes;
  return buffer instanceof ArrayBuffer && byteLength === buffer.byteLength
    ? buffer
    : (buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer);
}
