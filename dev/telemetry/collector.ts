import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { metricsBody, pointsOf, spansOf, tracesBody, type KeptPoint, type KeptSpan } from './otlp.ts';

/** More than an exporter sends at once: 512 spans. */
const BODY_MAX = 16 * 1024 * 1024;

/** What a collector does with what it gets. */
export interface CollectorOptions {
  /** 0 for any. */
  readonly port: number;
  readonly onSpans: (spans: readonly KeptSpan[]) => void;
  readonly onMetrics: (points: readonly KeptPoint[]) => void;
  /** Every body, as it came. */
  readonly onBody?: (body: string) => void;
}

/** A running collector. */
export interface Collector {
  /** The value of `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a small OTLP collector on this machine: HTTP with JSON, as the app sends it. */
export async function startCollector(options: CollectorOptions): Promise<Collector> {
  const server = createServer((request, response) => {
    void take(request, options).then((status) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function take(request: IncomingMessage, options: CollectorOptions): Promise<number> {
  try {
    const text = await bodyOf(request);
    options.onBody?.(text);
    if (request.method !== 'POST') return 405;
    if (request.url === '/v1/traces') options.onSpans(spansOf(tracesBody.parse(JSON.parse(text))));
    else if (request.url === '/v1/metrics') options.onMetrics(pointsOf(metricsBody.parse(JSON.parse(text))));
    else return 404;
    return 200;
  } catch {
    return 400;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_MAX) throw new Error('too large');
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  return (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString('utf8');
}
