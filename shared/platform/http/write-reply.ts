import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { RateWindow } from '../cache/rate-limit.ts';
import { textOf, type NotModified, type Reply } from '../call/reply.ts';
import type { Settings } from '../config/settings.ts';

/** A reply in the host's format. For HEAD, the host sends only the headers of the GET answer, so the length is set here. */
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

/** The rate limit headers for a client (draft-ietf-httpapi-ratelimit-headers). */
export function rateHeaders(windows: readonly RateWindow[]): Record<string, string> {
  const seconds = { hour: 3600, day: 86_400 };
  return {
    'ratelimit-policy': windows.map((w) => `"${w.name}";q=${w.limit};w=${seconds[w.name]}`).join(', '),
    ratelimit: windows.map((w) => `"${w.name}";r=${w.remaining};t=${w.resetSeconds}`).join(', '),
  };
}

/**
 * Where clients reach a request's path, with its query. Never from the `Host` header, because anyone can forge it: the URL
 * begins with the configured address. Without one, it is a reference without a host (RFC 8288 resolves it against the
 * request).
 */
export function requestUrl(settings: Pick<Settings, 'API_PUBLIC_URL'>, request: HttpRequest): string {
  const { pathname, search } = new URL(request.url);
  // Two slashes at the start would turn the next part into a host.
  return `${settings.API_PUBLIC_URL ?? ''}${pathname.replace(/^\/{2,}/, '/')}${search}`;
}
