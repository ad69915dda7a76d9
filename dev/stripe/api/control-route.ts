import type { StandIn } from './stand-in.ts';
import type { Method } from './route.ts';

/** What a page or a test has asked for. */
export interface ControlRequest {
  readonly method: Method;
  readonly path: string;
  /** Of the path's `{…}`, in their order. */
  readonly ids: readonly string[];
  readonly query: Readonly<Record<string, unknown>>;
  /** A form's fields or a JSON body; empty without one. */
  readonly body: Readonly<Record<string, unknown>>;
}

export type ControlAnswer =
  | { readonly status?: number; readonly json: unknown }
  | { readonly status?: number; readonly html: string }
  | { readonly redirect: string };

/** A request that Stripe does not have. */
export interface ControlRoute {
  readonly method: Method;
  /** Below `/_stand-in`: `/_stand-in/pages/checkout/{id}`. */
  readonly path: string;
  /** `secret` takes the secret key as Stripe does; `page` is for a browser, which has none. */
  readonly access: 'secret' | 'page';
  readonly run: (standIn: StandIn, request: ControlRequest) => ControlAnswer | Promise<ControlAnswer>;
}
