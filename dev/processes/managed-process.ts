import type { ChildProcess } from 'node:child_process';

const FIRST_RESTART_MS = 200;
const LAST_RESTART_MS = 10_000;
const STEADY_AFTER_MS = 30_000; // a process that ran this long restarts with the shortest delay
const STOP_GRACE_MS = 10_000;

/** How a process is started and ended. `launch` resolves when the process is ready for use. */
export interface ManagedProcessOptions<T> {
  name: string;
  launch: () => Promise<{ child: ChildProcess; ready: T }>;
  /** The signal that ends the process cleanly. */
  stopSignal: NodeJS.Signals;
  /** Restart it, with growing delays, when it ends unexpectedly. */
  restart: boolean;
  /** Called with one line of text when the process ends unexpectedly or comes back. */
  onEvent?: ((text: string) => void) | undefined;
}

/** A process of the local stack. `ready` is what its last launch reported, for example its port. */
export interface ManagedProcess<T> {
  readonly name: string;
  readonly pid: number | undefined;
  readonly running: boolean;
  readonly ready: T;
  /** Starts it again after `stop` or `kill`; does nothing while it runs. */
  start(): Promise<void>;
  /** Ends it with its stop signal or the given one, and kills it after ten seconds. Resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Ends it at once with SIGKILL, like a crash. It stays down until `start`. */
  kill(): Promise<void>;
}

/** Resolves when the process has ended. */
export function waitForExit(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
  });
}

/** Signals the process, and kills it after `graceMs`. Resolves when it has ended. */
export async function endChild(
  child: ChildProcess,
  signal: NodeJS.Signals,
  graceMs = STOP_GRACE_MS,
): Promise<void> {
  const gone = waitForExit(child);
  child.kill(signal);
  const killer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await gone;
  clearTimeout(killer);
}

class Manager<T> implements ManagedProcess<T> {
  readonly #options: ManagedProcessOptions<T>;
  #child: ChildProcess | undefined;
  #ready: T | undefined;
  #launching: Promise<void> | undefined;
  #wanted = false;
  #restartTimer: NodeJS.Timeout | undefined;
  #restartMs = FIRST_RESTART_MS;

  constructor(options: ManagedProcessOptions<T>) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  get ready(): T {
    if (this.#ready === undefined) {
      throw new Error(`${this.name} has not been started`);
    }
    return this.#ready;
  }

  async start(): Promise<void> {
    this.#wanted = true;
    clearTimeout(this.#restartTimer);
    if (this.#child !== undefined) {
      return;
    }
    this.#launching ??= this.#launch().finally(() => {
      this.#launching = undefined;
    });
    await this.#launching;
  }

  async stop(signal?: NodeJS.Signals): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#restartTimer);
    await this.#launching?.catch(() => undefined);
    if (this.#child !== undefined) {
      await endChild(this.#child, signal ?? this.#options.stopSignal);
    }
  }

  async kill(): Promise<void> {
    await this.stop('SIGKILL');
  }

  async #launch(): Promise<void> {
    const { child, ready } = await this.#options.launch();
    this.#ready = ready;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${this.name} ended as soon as it was ready`);
    }
    this.#child = child;
    const startedAt = Date.now();
    child.once('exit', (code, signal) => {
      this.#child = undefined;
      if (this.#wanted) {
        this.#onUnexpectedExit(signal ?? `exit code ${code}`, Date.now() - startedAt);
      }
    });
  }

  #onUnexpectedExit(cause: string, livedMs: number): void {
    const { name, restart, onEvent } = this.#options;
    if (!restart) {
      onEvent?.(`${name} ended unexpectedly (${cause})`);
      return;
    }
    if (livedMs > STEADY_AFTER_MS) {
      this.#restartMs = FIRST_RESTART_MS;
    }
    onEvent?.(`${name} ended unexpectedly (${cause}); starting it again in ${this.#restartMs} ms`);
    this.#scheduleRestart();
  }

  #scheduleRestart(): void {
    const { name, onEvent } = this.#options;
    this.#restartTimer = setTimeout(() => {
      this.start().then(
        () => {
          if (this.#wanted) {
            onEvent?.(`${name} is back`);
          }
        },
        (error: unknown) => {
          if (this.#wanted) {
            onEvent?.(
              `${name} could not be started again: ${error instanceof Error ? error.message : String(error)}`,
            );
            this.#scheduleRestart();
          }
        },
      );
    }, this.#restartMs);
    this.#restartMs = Math.min(this.#restartMs * 2, LAST_RESTART_MS);
  }
}

/** Starts a process and manages it. Throws the error of `launch` when the first start fails. */
export async function startManagedProcess<T>(options: ManagedProcessOptions<T>): Promise<ManagedProcess<T>> {
  const manager = new Manager(options);
  try {
    await manager.start();
  } catch (error) {
    await manager.stop();
    throw error;
  }
  return manager;
}
