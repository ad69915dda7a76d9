/**
 * The functions host as a process: `main.ts --app DIR [--port N] [--state DIR] [--settings FILE] [--verbose] [--brief]`.
 * It lists the functions when it is ready, except with `--brief`. `--verbose` logs every invocation. A child process with an
 * IPC channel sends `{ type: 'ready', port, functions }` and ends with its parent.
 */
import { parseArgs } from 'node:util';
import { describeError } from './host-log.ts';
import { startFunctionsHost, type FunctionsHost, type FunctionsHostOptions } from './host.ts';
import { listFunctions } from './list-functions.ts';

/** Longer than the host's own grace time: it passes only when the stop hangs. */
const STOP_LIMIT_MS = 20_000;

const SECOND_INTERRUPT_MS = 1_000;

function readArguments(): { options: FunctionsHostOptions; brief: boolean } {
  const { values } = parseArgs({
    options: {
      app: { type: 'string', default: '.' },
      port: { type: 'string' },
      state: { type: 'string' },
      settings: { type: 'string' },
      verbose: { type: 'boolean', default: false },
      brief: { type: 'boolean', default: false },
    },
  });
  const port = values.port === undefined ? undefined : Number(values.port);
  if (port !== undefined && (!Number.isInteger(port) || port < 0 || port > 65_535)) {
    throw new Error(`--port ${values.port ?? ''} is not a port.`);
  }
  const options = {
    appDir: values.app,
    verbose: values.verbose,
    ...(port === undefined ? {} : { port }),
    ...(values.state === undefined ? {} : { stateDir: values.state }),
    ...(values.settings === undefined ? {} : { settingsFile: values.settings }),
  };
  return { options, brief: values.brief };
}

/**
 * Stops the host on a signal or when the parent disconnects. One Ctrl-C can arrive twice: from the terminal and from the
 * parent. So only a Ctrl-C at least a second later ends the process at once. The app's open handles do not keep the process
 * alive, as in Azure's worker.
 */
function stopWhenTold(host: FunctionsHost): void {
  let askedAt: number | undefined;
  const stop = (signal?: NodeJS.Signals): void => {
    if (askedAt !== undefined) {
      if (signal === 'SIGINT' && Date.now() - askedAt > SECOND_INTERRUPT_MS) process.exit(130);
      return;
    }
    askedAt = Date.now();
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
    host.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${describeError(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('disconnect', () => stop());
  if (process.send && !process.connected) stop(); // the parent ended while the app was loading
}

try {
  const { options, brief } = readArguments();
  const host = await startFunctionsHost(options);
  stopWhenTold(host);
  if (!brief) process.stdout.write(`${listFunctions(host).join('\n')}\n`);
  process.send?.({ type: 'ready', port: host.port, functions: host.functions });
} catch (error) {
  process.stderr.write(`The functions host could not start.\n${describeError(error)}\n`);
  process.exit(1);
}
