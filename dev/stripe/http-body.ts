import type { IncomingMessage } from 'node:http';
import { parseForm } from './api/form.ts';
import { StripeError, invalidRequest } from './api/stripe-error.ts';

const MAX_BODY_BYTES = 1024 * 1024;

/** The body's text; 413 for more than 1 MiB. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_BODY_BYTES)
      throw new StripeError(413, { type: 'invalid_request_error', message: 'The request is too large.' });
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parseJson(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalidRequest('Invalid request: the body is not JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidRequest('Invalid request: the body is not a JSON object.');
  return { ...value };
}

/** The fields of a form or of JSON, as the `Content-Type` says. */
export function parseBody(text: string, contentType: string | undefined): Record<string, unknown> {
  if (text === '') return {};
  return contentType?.startsWith('application/json') === true ? parseJson(text) : parseForm(text);
}
