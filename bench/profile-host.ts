import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Stack } from '../dev/stack/start-stack.ts';
import { HostInspector } from './host-inspector.ts';
import { summarizeProfile } from './profile-summary.ts';

/** Microseconds between samples: enough for short functions that run thousands of times. */
const SAMPLE_US = 200;

/** Smaller shares are left out of a summary. */
const SHARE_MIN = 0.005;

/**
 * Writes a CPU profile of the host over some seconds to a file for the tools of Chrome and VS Code. Returns a summary of the
 * busy time by owner of the code. It is made now, because the built app's source maps are deleted after the run.
 */
export async function profileHost(stack: Stack, seconds: number, file: string): Promise<string> {
  const inspector = await HostInspector.open(stack);
  try {
    await inspector.call('Profiler.enable');
    await inspector.call('Profiler.setSamplingInterval', { interval: SAMPLE_US });
    await inspector.call('Profiler.start');
    await delay(seconds * 1000);
    const { profile } = z.object({ profile: z.unknown() }).parse(await inspector.call('Profiler.stop'));
    const text = JSON.stringify(profile);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    return summarizeProfile(text)
      .filter(({ share }) => share >= SHARE_MIN)
      .map(({ owner, share }) => `${owner} ${(share * 100).toFixed(1)} %`)
      .join(', ');
  } finally {
    inspector.close();
  }
}
