import type { Part } from './api/part.ts';
import { previews } from './billing/preview-routes.ts';
import { subscriptionItems } from './billing/subscription-item-routes.ts';
import { subscriptions } from './billing/subscription-routes.ts';
import { checkoutSessions } from './checkout/session-routes.ts';
import { testClocks } from './clocks/clocks.ts';
import { hostedInvoices } from './invoices/hosted-page.ts';
import { invoiceItems } from './invoices/invoice-item-routes.ts';
import { invoices } from './invoices/invoice-routes.ts';
import { invoicePayments, paymentIntents } from './invoices/payment-routes.ts';
import { settings } from './invoices/settings.ts';
import { charges, disputes } from './payments/charge-routes.ts';
import { paymentMethods } from './payments/payment-method-routes.ts';
import { refunds } from './payments/refunds.ts';
import { setupIntents } from './payments/setup-intents.ts';
import { portalSessions } from './portal/session-routes.ts';
import { coupons } from './resources/coupons.ts';
import { customers } from './resources/customers.ts';
import { events } from './resources/events.ts';
import { meterEvents } from './resources/meter-events.ts';
import { meters } from './resources/meters.ts';
import { prices } from './resources/prices.ts';
import { products } from './resources/products.ts';
import { promotionCodes } from './resources/promotion-codes.ts';
import { searches } from './resources/searches.ts';
import { webhookEndpoints } from './resources/webhook-endpoints.ts';

/** All that the stand-in does. What no part declares answers 501. */
export const PARTS: readonly Part[] = [
  charges,
  checkoutSessions,
  coupons,
  customers,
  disputes,
  events,
  hostedInvoices,
  invoiceItems,
  invoicePayments,
  invoices,
  meterEvents,
  meters,
  paymentIntents,
  paymentMethods,
  portalSessions,
  previews,
  prices,
  products,
  promotionCodes,
  refunds,
  searches,
  settings,
  setupIntents,
  subscriptionItems,
  subscriptions,
  testClocks,
  webhookEndpoints,
];
