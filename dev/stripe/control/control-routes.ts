import { z } from 'zod';
import type { ControlRoute } from '../api/control-route.ts';
import type { Holds } from '../api/holds.ts';
import { StripeError } from '../api/stripe-error.ts';
import { parseParams } from '../api/params.ts';

const holdSchema = z.strictObject({ path: z.string(), point: z.enum(['before', 'after']) });
const releaseSchema = z.strictObject({ how: z.enum(['go', 'cut']).default('go') });

function noSuchHold(id: string): StripeError {
  return new StripeError(404, { type: 'invalid_request_error', message: `There is no hold ${id}.` });
}

/** What tests ask of the stand-in itself: an empty state, requests that are stopped on their way. */
export function controlRoutes(holds: Holds): ControlRoute[] {
  return [
    {
      method: 'POST',
      path: '/_stand-in/reset',
      access: 'secret',
      run: (standIn) => {
        holds.releaseAll('cut');
        standIn.reset();
        return { json: {} };
      },
    },
    {
      method: 'POST',
      path: '/_stand-in/holds',
      access: 'secret',
      run: (_standIn, { body }) => {
        const { path, point } = parseParams(holdSchema, body);
        return { json: { id: holds.add(path, point) } };
      },
    },
    {
      // Answers once a request is held.
      method: 'GET',
      path: '/_stand-in/holds/{id}',
      access: 'secret',
      run: async (_standIn, { ids: [id = ''] }) => {
        const reached = holds.whenReached(id);
        if (reached === undefined) throw noSuchHold(id);
        await reached;
        return { json: {} };
      },
    },
    {
      method: 'POST',
      path: '/_stand-in/holds/{id}/release',
      access: 'secret',
      run: (_standIn, { ids: [id = ''], body }) => {
        if (!holds.release(id, parseParams(releaseSchema, body).how)) throw noSuchHold(id);
        return { json: {} };
      },
    },
  ];
}
