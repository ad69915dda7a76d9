import type { ServerResponse } from 'node:http';
import type { RpcHttpCookie, RpcHttpData } from '../core-types.ts';

/** Decodes a query as ASP.NET does: a plus is a space, and text that cannot be decoded stays as it is. */
function decodeQueryText(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

/**
 * The query as Azure's host gives it to a function without HTTP streaming. Names ignore case, and the first spelling is
 * kept. Several values of one name become one text, joined by commas.
 */
export function parseQuery(queryText: string): Record<string, string> {
  const query: Record<string, string> = {};
  if (queryText === '') return query;
  const spellings = new Map<string, string>();
  for (const pair of queryText.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decodeQueryText(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? '' : decodeQueryText(pair.slice(equals + 1));
    const folded = name.toLowerCase();
    const spelling = spellings.get(folded);
    if (spelling === undefined) {
      spellings.set(folded, name);
      query[name] = value;
    } else query[spelling] = `${query[spelling] ?? ''},${value}`;
  }
  return query;
}

/** Headers with names in lower case. The values of a repeated header are joined by commas. */
export function joinHeaders(rawHeaders: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    const known = headers[name];
    headers[name] = known === undefined ? value : `${known},${value}`;
  }
  return headers;
}

/** .NET's `Uri.EscapeDataString`: like `encodeURIComponent`, but `!'()*` are escaped too. */
function escapeData(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A cookie as ASP.NET writes it. Without a path it is valid for the whole site. */
function formatCookie(cookie: RpcHttpCookie): string {
  const parts = [`${escapeData(cookie.name ?? '')}=${escapeData(cookie.value ?? '')}`];
  const seconds = cookie.expires?.value?.seconds;
  if (seconds !== undefined && seconds !== null)
    parts.push(`expires=${new Date(seconds * 1000).toUTCString()}`);
  const maxAge = cookie.maxAge?.value;
  if (maxAge !== undefined && maxAge !== null) parts.push(`max-age=${Math.trunc(maxAge)}`);
  if (cookie.domain?.value) parts.push(`domain=${cookie.domain.value}`);
  parts.push(`path=${cookie.path?.value ?? '/'}`);
  if (cookie.secure?.value) parts.push('secure');
  if (cookie.sameSite === 'lax' || cookie.sameSite === 'strict') parts.push(`samesite=${cookie.sameSite}`);
  else if (cookie.sameSite === 'explicitNone') parts.push('samesite=none');
  if (cookie.httpOnly?.value) parts.push('httponly');
  return parts.join('; ');
}

const NO_BYTES = new Uint8Array(0);

/** The server sets these itself: a handler's value could contradict the bytes that are sent. */
const FRAMING_HEADERS = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive']);

/**
 * Sends the library's response; without one it is 204, as in Azure. Throws when a header is invalid, before anything is sent.
 */
export function sendRpcHttp(response: ServerResponse, http: RpcHttpData | null | undefined): void {
  if (!http) {
    response.writeHead(204);
    response.end();
    return;
  }
  const status = Number(http.statusCode ?? 200);
  const body = http.body?.bytes ?? NO_BYTES;
  const headers: string[] = [];
  for (const name in http.headers) {
    if (!FRAMING_HEADERS.has(name)) headers.push(name, http.headers[name] ?? '');
  }
  if (http.cookies) for (const cookie of http.cookies) headers.push('set-cookie', formatCookie(cookie));
  if (status !== 204 && status !== 304) headers.push('content-length', String(body.byteLength));
  response.writeHead(status, headers);
  if (body.byteLength > 0) response.end(body);
  else response.end();
}
