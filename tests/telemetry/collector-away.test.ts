import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { startExport } from '../../shared/platform/telemetry/sdk.ts';
import { inSpan } from '../../shared/platform/telemetry/tracing.ts';
import { startTestApp, until } from '../harness/app.ts';
import { askForPart } from '../harness/ask.ts';
import { openCollector, untilExported } from '../harness/telemetry.ts';

const collector = await openCollector();
const app = await startTestApp({ settings: collector.settings });

describe('a collector that is away', () => {
  it('slows and fails no request when it dies in between, and is missed once in the log', async () => {
    await untilExported(app, collector);
    const read = async (): Promise<number> => {
      const begin = performance.now();
      const { status } = await app.request('GET', '/api/v1/mappings', { key: app.keys.acme.reader });
      expect(status).toBe(200);
      return performance.now() - begin;
    };
    const median = async (): Promise<number> => {
      const times: number[] = [];
      for (let n = 0; n < 100; n += 1) times.push(await read());
      return times.sort((left, right) => left - right)[50] ?? 0;
    };
    await median();
    const before = await median();
    await collector.stop();
    const missed = (): string[] => app.logLines.filter((line) => line.includes('telemetry-not-exported'));
    await until(
      () => Promise.resolve(missed()),
      (lines) =>
        lines.some((line) => line.includes('spans')) && lines.some((line) => line.includes('metrics')),
      40,
    );
    // A bound, not a target: a request that waited for the collector would take its time limit of seconds.
    expect(await median()).toBeLessThan(before * 3 + 20);
    expect(missed()).toHaveLength(2);
    expect(app.logLines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });

  it('costs a bounded amount of memory', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const running = await startExport({
      ...app.settings,
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_METRIC_EXPORT_INTERVAL: 60_000,
    });
    const spans = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n += 1)
        await inSpan('a span', { isRoot: true, attributes: { n, text: 'x'.repeat(100) } }, () =>
          Promise.resolve(),
        );
    };
    await spans(5_000);
    collect();
    const before = process.memoryUsage().heapUsed;
    await spans(100_000);
    collect();
    const grown = process.memoryUsage().heapUsed - before;
    await running.stop();
    // All of them would be over 100 MB.
    expect(grown).toBeLessThan(25 * 2 ** 20);
  });
});

describe('the start of the app', () => {
  it('loads none of OpenTelemetry: main.js and what it imports are without it, and a later chunk has it', async () => {
    const { dir } = await askForPart('app');
    const dist = path.join(dir, 'dist');
    const read = (file: string): string => readFileSync(file, 'utf8');
    const atStart = new Set<string>();
    const later = new Set<string>();
    const follow = (file: string): void => {
      if (atStart.has(file)) return;
      atStart.add(file);
      const resolve = (to: string): string => path.resolve(path.dirname(file), to);
      for (const [, to = ''] of read(file).matchAll(
        /\b(?:import|export)\b[^'"();]*?\bfrom\s*"(\.[^"]+)"|\bimport\s*"\.[^"]+"/g,
      ))
        if (to !== '') follow(resolve(to));
      for (const [, to = ''] of read(file).matchAll(/\bimport\("(\.[^"]+)"\)/g)) later.add(resolve(to));
    };
    follow(path.join(dist, 'main.js'));
    const isOtel = (file: string): boolean => /opentelemetry\.js\.api|BatchSpanProcessor/.test(read(file));
    expect([...atStart].filter(isOtel)).toEqual([]);
    expect(atStart.size).toBeGreaterThan(1);
    expect(
      [...later].filter(isOtel).length +
        [...later].filter((file) => read(file).includes('telemetry-started')).length,
    ).toBeGreaterThan(0);
  });
});
