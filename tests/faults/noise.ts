import type { HttpClient } from './client.ts';

const TICK_MS = 20;
/** Between two control requests. */
const CONTROL_MS = 100;
/** The most that is subtracted. A longer stall is the host's fault, also on a busy machine. */
const FORGIVEN_MAX_MS = 1_500;

interface Span {
  readonly from: number;
  readonly to: number;
  readonly ms: number;
}

/**
 * The time that the machine, not the app, adds to an answer: stalls of this process, and the host's time for a request that
 * needs only its event loop.
 */
export class Noise {
  readonly #client: HttpClient;
  readonly #spans: Span[] = [];
  #expected = performance.now() + TICK_MS;
  #stopped = false;
  readonly #ticker: NodeJS.Timeout;
  readonly #control: NodeJS.Timeout;

  constructor(client: HttpClient) {
    this.#client = client;
    this.#ticker = setInterval(() => {
      const now = performance.now();
      const late = now - this.#expected;
      if (late > TICK_MS) this.#spans.push({ from: this.#expected, to: now, ms: late });
      this.#expected = now + TICK_MS;
    }, TICK_MS);
    this.#control = setInterval(() => void this.#ask(), CONTROL_MS);
  }

  async #ask(): Promise<void> {
    const from = performance.now();
    try {
      await this.#client.ask({ method: 'GET', path: '/api/health/live' });
    } catch {
      return; // without a host there is no late answer
    }
    const to = performance.now();
    if (!this.#stopped) this.#spans.push({ from, to, ms: to - from });
  }

  /** How long an answer between these moments may exceed its limit. */
  forgiven(from: number, to: number): number {
    let most = 0;
    for (const span of this.#spans) if (span.from < to && span.to > from) most = Math.max(most, span.ms);
    return Math.min(2 * most, FORGIVEN_MAX_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#ticker);
    clearInterval(this.#control);
  }
}
