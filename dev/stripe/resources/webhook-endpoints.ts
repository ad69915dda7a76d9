import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { pageParams, paginate } from '../api/page.ts';
import { boolean, clearable, list, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { readVersion } from '../api/versions.ts';
import { withoutUndefined } from '../api/without-undefined.ts';
import type { DeletedObject } from '../objects/kinds.ts';
import { addSecret, removeSecrets } from '../webhooks/secrets.ts';

const MAX_ENDPOINTS = 16; // as Stripe, in test mode

const params = {
  description: clearable(text()).optional(),
  metadata: metadata().optional(),
};

function checkEvents(types: readonly string[] | undefined): void {
  const param = 'enabled_events';
  if (types?.length === 0)
    throw invalidRequest('You must pass at least one event type.', { code: 'parameter_missing', param });
  for (const [index, type] of (types ?? []).entries())
    if (type !== '*' && !/^[a-z0-9_]+(\.[a-z0-9_]+)+$/.test(type))
      throw invalidRequest(`Invalid event type: ${type}`, { param: `${param}[${index}]` });
}

function checkUrl(url: string | undefined): void {
  if (url === undefined || (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol))) return;
  throw invalidRequest('Invalid URL: An explicit scheme (such as https) must be provided.', {
    code: 'url_invalid',
    param: 'url',
  });
}

function checkCount(context: Context): void {
  if (context.store.list('webhook_endpoint').length >= MAX_ENDPOINTS)
    throw invalidRequest(`You have reached the maximum of ${MAX_ENDPOINTS} test webhook endpoints.`);
}

export const webhookEndpoints: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/webhook_endpoints',
      params: { ...params, api_version: text().optional(), enabled_events: list(text()), url: text() },
      unsupported: ['connect'],
      run: (context, { api_version, enabled_events, url, ...given }): Stripe.WebhookEndpoint => {
        checkEvents(enabled_events);
        checkUrl(url);
        checkCount(context);
        const endpoint: Stripe.WebhookEndpoint = {
          id: context.newId('webhook_endpoint'),
          object: 'webhook_endpoint',
          api_version: api_version === undefined ? null : readVersion(api_version, 'api_version'),
          application: null,
          created: context.now(),
          description: given.description ?? null,
          enabled_events,
          livemode: false,
          metadata: applyMetadata({}, given.metadata),
          status: 'enabled',
          url,
        };
        context.store.put(endpoint);
        // The only time that it is shown.
        return { ...endpoint, secret: addSecret(context.store, endpoint.id, 0) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/webhook_endpoints/{id}',
      params: {},
      run: (context, _params, id) => context.find('webhook_endpoint', id),
    }),
    route({
      method: 'POST',
      path: '/v1/webhook_endpoints/{id}',
      params: {
        ...params,
        disabled: boolean().optional(),
        enabled_events: list(text()).optional(),
        url: text().optional(),
      },
      run: (context, { disabled, metadata: change, ...given }, id) => {
        checkEvents(given.enabled_events);
        checkUrl(given.url);
        const before = context.find('webhook_endpoint', id);
        const status = disabled === true ? 'disabled' : 'enabled';
        const after: Stripe.WebhookEndpoint = {
          ...before,
          ...withoutUndefined(given),
          metadata: applyMetadata(before.metadata, change),
          status: disabled === undefined ? before.status : status,
        };
        context.store.put(after);
        return after;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/webhook_endpoints',
      params: pageParams,
      run: (context, page) => paginate(context, context.store.list('webhook_endpoint'), page),
    }),
    route({
      method: 'DELETE',
      path: '/v1/webhook_endpoints/{id}',
      params: {},
      run: (context, _params, id): DeletedObject<'webhook_endpoint'> => {
        context.find('webhook_endpoint', id);
        context.store.remove('webhook_endpoint', id);
        removeSecrets(context.store, id);
        return { id, object: 'webhook_endpoint', deleted: true };
      },
    }),
  ],
};
