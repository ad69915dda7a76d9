import { paginate, timedPageParams } from '../api/page.ts';
import { boolean, list, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { fitsType } from '../api/receivers.ts';
import { route } from '../api/route.ts';
import { invalidRequest } from '../api/stripe-error.ts';

// Stripe lists the events of the last 30 days.
const LISTED_SECONDS = 30 * 24 * 60 * 60;

const MAX_TYPES = 20;

export const events: Part = {
  routes: [
    route({
      method: 'GET',
      path: '/v1/events',
      params: {
        ...timedPageParams,
        delivery_success: boolean().optional(),
        type: text().optional(),
        types: list(text()).optional(),
      },
      run: (context, { delivery_success, type, types, ...page }) => {
        if (type !== undefined && types !== undefined)
          throw invalidRequest('You may only specify one of these parameters: type, types.', {
            param: 'type',
          });
        if (types !== undefined && types.length > MAX_TYPES)
          throw invalidRequest(`You may only specify up to ${MAX_TYPES} types.`, { param: 'types' });
        const since = context.now() - LISTED_SECONDS;
        const wanted = type === undefined ? types : [type];
        return paginate(context, context.store.list('event'), page, (event) => {
          const isDelivered = event.pending_webhooks === 0;
          return (
            event.created >= since &&
            (wanted?.some((one) => fitsType(event.type, one)) ?? true) &&
            (delivery_success === undefined || delivery_success === isDelivered)
          );
        });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/events/{id}',
      params: {},
      run: (context, _params, id) => context.find('event', id),
    }),
  ],
};
