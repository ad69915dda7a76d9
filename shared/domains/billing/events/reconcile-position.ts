import { z } from 'zod';

/** The parts of a pass over the objects, in their order. `…_here` are our rows, `…_there` what Stripe lists. */
export const PHASES = [
  'subscriptions_here',
  'invoices_here',
  'subscriptions_there',
  'invoices_there',
] as const;

/** Where the job stands. Each part is saved when it is done, and not before. */
export const reconcilePosition = z.object({
  /** Events that Stripe created before this second are stored. */
  events_until: z.number().int().optional(),
  /** When Stripe's events were listed to the end the last time. */
  listed_at: z.iso.datetime().optional(),
  /** A list of events that is not at its end. Stripe lists the newest first. */
  listing: z.object({ from: z.number().int(), newest: z.number().int(), after: z.string() }).optional(),
  /** When all objects were compared the last time. */
  compared_at: z.iso.datetime().optional(),
  /** A pass over the objects that is not at its end. */
  comparing: z.object({ phase: z.enum(PHASES), after: z.string() }).optional(),
});
export type ReconcilePosition = z.output<typeof reconcilePosition>;
