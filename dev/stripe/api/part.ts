import type { ControlRoute } from './control-route.ts';
import type { Route } from './route.ts';
import type { StandIn } from './stand-in.ts';

/** One piece of Stripe: what it answers, and what it does by itself. `parts.ts` lists them. */
export interface Part {
  readonly routes?: readonly Route[];
  /** Pages, and what tests ask for; below `/_stand-in`. */
  readonly controls?: readonly ControlRoute[];
  /** Called once the state is read, before the first request. Returns what stops it. */
  start?(standIn: StandIn): { close(): void | Promise<void> };
}
