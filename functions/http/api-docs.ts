import { readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { publicEndpoint, type Endpoint } from '../../shared/platform/http/endpoint.ts';
import { notModified, ok, okText } from '../../shared/platform/call/reply.ts';
import { API_DESCRIPTION, API_TAGS } from '../api-words.ts';
import { namesTag } from '../../shared/platform/http/etag.ts';
import { openApiDocument } from '../../shared/platform/http/openapi.ts';
import { VERSION } from '../../shared/platform/config/version.ts';

/**
 * The page uses only this API. It has no fonts, telemetry, assistant, client, tools or links of its vendor, because they
 * lead elsewhere or send what is typed elsewhere.
 */
const SCALAR = {
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  // No setting removes the vendor's own links, such as the one below the list of groups.
  customCss: 'a[href*="scalar"] { display: none !important; }',
};

const DOCS_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Comply-AI API</title>
  </head>
  <body>
    <script id="api-reference" data-url="./openapi.json"
      data-configuration='${JSON.stringify(SCALAR, undefined, 2)}'></script>
    <script src="./docs/scalar.js"></script>
  </body>
</html>
`;

let scalar: Promise<{ text: string; etag: string }> | undefined;

/** The page's script. The build puts it next to the bundle, so that nothing is loaded from elsewhere. */
async function readScalar(): Promise<{ text: string; etag: string }> {
  const text = await readFile(new URL('./scalar.js', import.meta.url), 'utf8');
  return { text, etag: `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"` };
}

/**
 * The API's own documents. `endpoints`: all routes of the app, including these. `publicUrl`: where clients reach it, if
 * known.
 */
export const apiDocsEndpoints = (
  endpoints: () => readonly Endpoint[],
  publicUrl: () => string | undefined,
) => [
  publicEndpoint({
    name: 'openapi-read',
    method: 'GET',
    path: 'openapi.json',
    tag: 'documentation',
    summary: 'This API as OpenAPI 3.1',
    responses: { 200: { description: 'The document.', schema: z.record(z.string(), z.unknown()) } },
    run: () => {
      const words = {
        version: VERSION,
        serverUrl: publicUrl() ?? '/',
        description: API_DESCRIPTION,
        tags: API_TAGS,
      };
      return Promise.resolve(ok<Record<string, unknown>>(openApiDocument(endpoints(), words)));
    },
  }),
  publicEndpoint({
    name: 'docs-read',
    method: 'GET',
    path: 'docs',
    tag: 'documentation',
    summary: 'This API as an interactive page',
    responses: { 200: { description: 'The page.', contentType: 'text/html' } },
    run: () => Promise.resolve(okText('text/html; charset=utf-8', DOCS_PAGE)),
  }),
  publicEndpoint({
    name: 'docs-script-read',
    method: 'GET',
    path: 'docs/scalar.js',
    tag: 'documentation',
    summary: 'The script of the documentation page',
    responses: {
      200: { description: 'The script.', contentType: 'text/javascript' },
      304: { description: 'Unchanged.' },
    },
    run: async ({ ifNoneMatch }) => {
      scalar ??= readScalar();
      const { text, etag } = await scalar;
      const headers = { etag, 'cache-control': 'public, max-age=3600' };
      if (namesTag(ifNoneMatch, etag)) return notModified(headers);
      return okText('text/javascript; charset=utf-8', text, headers);
    },
  }),
];
