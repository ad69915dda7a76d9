/** Shows what a start is doing: one line per step. */
export interface Progress {
  /** Runs the step and shows its name, how long it took, and the detail that `tell` makes from its result. */
  step<T>(name: string, run: () => Promise<T>, tell?: (result: T) => string): Promise<T>;
  /** Shows a line that is not a step. */
  note(text: string): void;
}

interface Step {
  name: string;
  startedAt: number;
  state: 'running' | 'done' | 'failed';
  detail: string;
  tookMs: number;
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 80;
const NAME_WIDTH = 20;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function describeStep(step: Step, sign: string): string {
  const time = step.state === 'running' ? '' : seconds(step.tookMs).padStart(7);
  return `  ${sign} ${step.name.padEnd(NAME_WIDTH)}${time}  ${step.detail}`.trimEnd();
}

/** Redraws the running steps below the finished ones. */
class LiveLines {
  readonly #out: NodeJS.WriteStream;
  readonly #running = new Set<Step>();
  #drawn = 0;
  #frame = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  begin(step: Step): void {
    this.#running.add(step);
    this.#timer ??= setInterval(() => {
      this.#frame += 1;
      this.draw();
    }, FRAME_MS).unref();
    this.draw();
  }

  end(step: Step, line: string): void {
    this.#running.delete(step);
    if (this.#running.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    this.draw([line]);
  }

  /** Writes the lines in `stay` and redraws the running steps below them. */
  draw(stay: string[] = []): void {
    const up = this.#drawn > 0 ? `\u001b[${this.#drawn}A` : '';
    const sign = FRAMES[this.#frame % FRAMES.length] ?? '';
    const moving = [...this.#running].map((step) => describeStep(step, sign));
    this.#out.write(`${up}\r\u001b[J${[...stay, ...moving].map((line) => `${line}\n`).join('')}`);
    this.#drawn = moving.length;
  }
}

/** Shows progress on a stream: moving lines on a terminal, otherwise one line per finished step. */
export function showProgress(out: NodeJS.WriteStream): Progress {
  const live = out.isTTY ? new LiveLines(out) : undefined;
  const end = (step: Step, sign: string): void => {
    const line = describeStep(step, sign);
    if (live === undefined) {
      out.write(`${line}\n`);
    } else {
      live.end(step, line);
    }
  };
  return {
    async step(name, run, tell) {
      const step: Step = { name, startedAt: Date.now(), state: 'running', detail: '', tookMs: 0 };
      live?.begin(step);
      try {
        const result = await run();
        Object.assign(step, {
          state: 'done',
          detail: tell?.(result) ?? '',
          tookMs: Date.now() - step.startedAt,
        });
        end(step, '✓');
        return result;
      } catch (error) {
        Object.assign(step, { state: 'failed', tookMs: Date.now() - step.startedAt });
        end(step, '✗');
        throw error;
      }
    },
    note(text) {
      if (live === undefined) {
        out.write(`${text}\n`);
      } else {
        live.draw([text]);
      }
    },
  };
}

/** Shows nothing. */
export const NO_PROGRESS: Progress = {
  step: (_name, run) => run(),
  note: () => undefined,
};
