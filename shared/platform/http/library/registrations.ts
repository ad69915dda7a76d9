/** The kinds of triggers that this app uses, by the library's names. */
export type TriggerKind = 'http' | 'serviceBusQueue' | 'timer';

/** A function's handler, as the library calls it. */
export type Handler = (...inputs: readonly unknown[]) => unknown;

/** What the worker has to know of a function before any of its code is loaded. All of it is JSON. */
export interface FunctionDescription {
  readonly kind: TriggerKind;
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** A function as it was registered. */
export interface Registration extends FunctionDescription {
  readonly handler: Handler;
}

/** The part of the library's `app` that this app registers with. */
export type Registrar = Readonly<
  Record<TriggerKind, (name: string, options: Record<string, unknown> & { handler: Handler }) => void>
>;

/** Every function registered with {@link app}, in order. */
export const registrations: Registration[] = [];

function registrar(kind: TriggerKind): Registrar[TriggerKind] {
  return (name, { handler, ...options }) => void registrations.push({ kind, name, options, handler });
}

/**
 * Stands in the place of the library's `app` where the app's own code is built: it keeps what is registered, for the build
 * to write down and for {@link registerLazily} to find the handlers in.
 */
export const app: Registrar = {
  http: registrar('http'),
  serviceBusQueue: registrar('serviceBusQueue'),
  timer: registrar('timer'),
};

/**
 * Registers functions of which only the description is known, and loads their code when the first of them is called. An
 * instance is ready for its first request as soon as the worker knows the functions, and loads their code while
 * the host is still at work on its own start.
 */
export function registerLazily(
  library: Registrar,
  functions: readonly FunctionDescription[],
  load: () => Promise<readonly Registration[]>,
): void {
  let handlers: ReadonlyMap<string, Handler> | undefined;
  let loading: Promise<ReadonlyMap<string, Handler>> | undefined;
  const loadOnce = (): Promise<ReadonlyMap<string, Handler>> =>
    (loading ??= load().then((loaded) => {
      handlers = new Map(loaded.map(({ name, handler }) => [name, handler]));
      return handlers;
    }));
  const call = (known: ReadonlyMap<string, Handler>, name: string, inputs: readonly unknown[]): unknown => {
    const handler = known.get(name);
    if (handler === undefined) throw new Error(`the built app has no function ${name}`);
    return handler(...inputs);
  };
  for (const { kind, name, options } of functions) {
    const handler: Handler = (...inputs) =>
      handlers === undefined
        ? loadOnce().then((known) => call(known, name, inputs))
        : call(handlers, name, inputs);
    library[kind](name, { ...options, handler });
  }
  // Who fails to load says so to whoever calls first.
  setImmediate(() => void loadOnce().catch(() => undefined));
}
