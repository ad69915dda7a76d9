import {
  listInvoices,
  listPaymentMethods,
  listPayments,
  readInvoice,
} from '../../shared/domains/billing/invoices/read-invoices.ts';
import {
  invoice,
  invoiceParams,
  invoicesQuery,
  payment,
  paymentMethod,
  paymentMethodsQuery,
  paymentsQuery,
  wholeInvoice,
} from '../../shared/domains/billing/invoices/schemas.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

const common = { tag: 'billing', permission: 'billing:read', method: 'GET' } as const;

export const billingInvoicesEndpoints = [
  endpoint({
    ...common,
    name: 'billing-invoices-list',
    path: 'v1/billing/invoices',
    summary: 'List invoices',
    query: invoicesQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(invoice), headers: ['Link'] } },
    run: (call, { query, url }) => listInvoices(call, query, url),
  }),
  endpoint({
    ...common,
    name: 'billing-invoices-read',
    path: 'v1/billing/invoices/{invoice_id}',
    summary: 'Read an invoice with its lines',
    params: invoiceParams,
    responses: { 200: { description: 'The invoice.', schema: wholeInvoice } },
    run: (call, { params }) => readInvoice(call, params.invoice_id),
  }),
  endpoint({
    ...common,
    name: 'billing-payments-list',
    path: 'v1/billing/payments',
    summary: 'List payments, failed ones too',
    query: paymentsQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(payment), headers: ['Link'] } },
    run: (call, { query, url }) => listPayments(call, query, url),
  }),
  endpoint({
    ...common,
    name: 'billing-payment-methods-list',
    path: 'v1/billing/payment-methods',
    summary: 'List cards and other payment methods, without their numbers',
    query: paymentMethodsQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(paymentMethod), headers: ['Link'] } },
    run: (call, { query, url }) => listPaymentMethods(call, query, url),
  }),
];
