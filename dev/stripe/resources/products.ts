import type Stripe from 'stripe';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import { boolean, clearable, hash, list, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { withoutUndefined } from '../api/without-undefined.ts';
import type { DeletedObject } from '../objects/kinds.ts';

const params = {
  active: boolean().optional(),
  description: clearable(text()).optional(),
  images: list(text()).optional(),
  marketing_features: list(hash({ name: text() })).optional(),
  metadata: metadata().optional(),
  statement_descriptor: text({ max: 22 }).optional(),
  unit_label: clearable(text({ max: 12 })).optional(),
  url: clearable(text()).optional(),
};

const unsupported = ['package_dimensions', 'shippable', 'tax_code', 'tax_details'];

export const products: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/products',
      params: { ...params, id: text().optional(), name: text() },
      unsupported: [...unsupported, 'default_price_data', 'type'],
      run: (context, { id = context.newId('product'), name, metadata: change, ...given }) => {
        if (context.store.get('product', id) !== undefined)
          throw invalidRequest('Product already exists.', { code: 'resource_already_exists', param: 'id' });
        const created = context.now();
        const product: Stripe.Product = {
          id,
          object: 'product',
          active: given.active ?? true,
          created,
          default_price: null,
          description: given.description ?? null,
          images: given.images ?? [],
          livemode: false,
          marketing_features: given.marketing_features ?? [],
          metadata: applyMetadata({}, change),
          name,
          package_dimensions: null,
          shippable: null,
          statement_descriptor: given.statement_descriptor ?? null,
          tax_code: null,
          tax_details: null,
          type: 'service',
          unit_label: given.unit_label ?? null,
          updated: created,
          url: given.url ?? null,
        };
        return context.create('product.created', product);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/products/{id}',
      params: {},
      run: (context, _params, id) => context.find('product', id),
    }),
    route({
      method: 'POST',
      path: '/v1/products/{id}',
      params: { ...params, name: text().optional(), default_price: clearable(text()).optional() },
      unsupported,
      run: (context, { metadata: metadataChange, default_price, ...given }, id) => {
        const before = context.find('product', id);
        if (default_price != null && context.find('price', default_price, 'default_price').product !== id)
          throw invalidRequest(`The price ${default_price} belongs to another product.`, {
            param: 'default_price',
          });
        const after: Stripe.Product = {
          ...before,
          ...withoutUndefined(given),
          default_price: default_price === undefined ? (before.default_price ?? null) : default_price,
          metadata: applyMetadata(before.metadata, metadataChange),
          updated: context.now(),
        };
        return context.change('product.updated', before, after);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/products',
      params: { ...timedPageParams, active: boolean().optional(), ids: list(text()).optional() },
      unsupported: ['shippable', 'type', 'url'],
      run: (context, { active, ids, ...page }) =>
        paginate(context, context.store.list('product'), page, (product) => {
          return (active === undefined || product.active === active) && (ids?.includes(product.id) ?? true);
        }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/products/{id}',
      params: {},
      run: (context, _params, id): DeletedObject<'product'> => {
        const product = context.find('product', id);
        if (context.store.list('price', (price) => price.product === id).length > 0)
          throw invalidRequest(
            'This product cannot be deleted because it has one or more user-created prices.',
          );
        context.store.remove('product', id);
        context.emit('product.deleted', product);
        return { id, object: 'product', deleted: true };
      },
    }),
  ],
};
