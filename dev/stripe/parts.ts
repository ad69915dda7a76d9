import type { Part } from './api/part.ts';
import { coupons } from './resources/coupons.ts';
import { customers } from './resources/customers.ts';
import { events } from './resources/events.ts';
import { meterEvents } from './resources/meter-events.ts';
import { meters } from './resources/meters.ts';
import { prices } from './resources/prices.ts';
import { products } from './resources/products.ts';
import { promotionCodes } from './resources/promotion-codes.ts';
import { webhookEndpoints } from './resources/webhook-endpoints.ts';

/** All that the stand-in does. What no part declares answers 501. */
export const PARTS: readonly Part[] = [
  coupons,
  customers,
  events,
  meterEvents,
  meters,
  prices,
  products,
  promotionCodes,
  webhookEndpoints,
];
