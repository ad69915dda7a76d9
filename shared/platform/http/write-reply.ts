import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { RateWindow } from '../cache/rate-limit.ts';
import { textOf, type NotModified, type Reply } from '../call/reply.ts';
import type { Settings } from '../config/settings.ts';

/**
 * A reply as the host takes it. The answer to HEAD is that to GET: the host sends its headers alone, so its length is said
 * here.
 */
export function writeReply(
  request: HttpRequest,
  reply: Reply | NotModified,
  extra: Readonly<Record<string, string>>,
): HttpResponseInit {
  const headers: Record<string, string> = { 'cache-control': 'no-store', ...extra, ...reply.headers };
  const text = textOf(reply);
  if (text === undefined) return { status: reply.status, headers };
  headers['content-type'] ??= 'application/json';
  if (request.method === 'HEAD') headers['content-length'] = String(Buffer.byteLength(text));
  return { status: reply.status, headers, body: text };
}

/** What a client is told of its allowance (draft-ietf-httpapi-ratelimit-headers). */
export function rateHeaders(windows: readonly RateWindow[]): Record<string, string> {
  const seconds = { hour: 3600, day: 86_400 };
  return {
    'ratelimit-policy': windows.map((w) => `"${w.name}";q=${w.limit};w=${seconds[w.name]}`).join(', '),
    ratelimit: windows.map((w) => `"${w.name}";r=${w.remaining};t=${w.resetSeconds}`).join(', '),
  };
}

/**
 * Where clients reach a request's path, with its query. Never from the `Host` header, which anyone can forge: below the
 * configured address or, where none is known, a reference without a host (RFC 8288 resolves it against the request).
 */
export function requestUrl(settings: Pick<Settings, 'API_PUBLIC_URL'>, request: HttpRequest): string {
  const { pathname, search } = new URL(request.url);
  // Two slashes at its head would make a host of what follows.
  return `${settings.API_PUBLIC_URL ?? ''}${pathname.replace(/^\/{2,}/, '/')}${search}`;
}
