import { z } from 'zod';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import { readKeyset, when, type KeysetList } from '../../../platform/db/keyset.ts';
import { positionIn } from '../../../platform/http/list-reply.ts';
import {
  cursorScope,
  pageReply,
  readPage,
  type Page,
  type PagedQuery,
} from '../../../platform/http/pagination.ts';
import { toDecimal } from '../money.ts';
import {
  invoice,
  payment,
  paymentMethod,
  type invoicesQuery,
  type paymentMethodsQuery,
  type paymentsQuery,
  type Invoice,
  type Payment,
  type PaymentMethod,
  type WholeInvoice,
} from './schemas.ts';

type List = Pick<KeysetList, 'table' | 'idColumn' | 'conditions'> & { readonly columns: readonly string[] };

/** Rows as the driver returns them: amounts are integer minor units. */
const minorUnits = z.number();
const INVOICE_AMOUNTS = [
  'subtotal',
  'discount',
  'tax',
  'total',
  'amount_due',
  'amount_paid',
  'amount_remaining',
] as const;
const invoiceRow = invoice.extend({
  subtotal: minorUnits,
  discount: minorUnits,
  tax: minorUnits,
  total: minorUnits,
  amount_due: minorUnits,
  amount_paid: minorUnits,
  amount_remaining: minorUnits,
});
const paymentRow = payment.extend({ amount: minorUnits, refunded_amount: minorUnits });

const INVOICE_COLUMNS = Object.keys(invoiceRow.shape);

/** Lines as the sync writes them. */
const lineItems = z.array(
  z.object({
    description: z.string().nullable(),
    amount: minorUnits,
    quantity: z.number().nullable(),
    proration: z.boolean(),
    period_start: z.string().nullable(),
    period_end: z.string().nullable(),
  }),
);

/** A page of the tenant's invoices. */
export function listInvoices(
  call: Call,
  query: z.output<typeof invoicesQuery>,
  url: string,
): Promise<Reply<200, Page<Invoice>>> {
  const list: List = {
    table: 'billing_invoices',
    columns: INVOICE_COLUMNS,
    idColumn: 'invoice_id',
    conditions: when('status = ?', query.status),
  };
  return pageOfRows(call, list, { query, url, present: presentInvoice });
}

function presentInvoice(row: unknown): Invoice {
  const read = invoiceRow.parse(row);
  const amounts = INVOICE_AMOUNTS.map((name) => [name, toDecimal(read[name], read.currency)] as const);
  // Each of the amounts is replaced by its text.
  return { ...read, ...(Object.fromEntries(amounts) as Record<(typeof INVOICE_AMOUNTS)[number], string>) };
}

/**
 * One invoice with its lines.
 * @throws Problem 404
 */
export async function readInvoice(call: Call, invoiceId: string): Promise<Reply<200, WholeInvoice>> {
  const [row] = await call.databases.billing.statement(
    `select i.* from scope, lateral (select ${INVOICE_COLUMNS.join(', ')}, line_items from billing_invoices
       where tenant_id = scope.tenant_id and invoice_id = $2 offset 0) i`,
    [invoiceId],
  );
  if (row === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such invoice.' });
  const shown = presentInvoice(row);
  const lines = lineItems.parse(row['line_items']);
  return ok<WholeInvoice>({
    ...shown,
    line_items: lines.map(({ proration, ...line }) => ({
      ...line,
      amount: toDecimal(line.amount, shown.currency),
      is_proration: proration,
    })),
  });
}

/** A page of the tenant's payments, failed ones too. */
export function listPayments(
  call: Call,
  query: z.output<typeof paymentsQuery>,
  url: string,
): Promise<Reply<200, Page<Payment>>> {
  const list: List = {
    table: 'billing_payments',
    columns: Object.keys(paymentRow.shape),
    idColumn: 'payment_id',
    conditions: [...when('status = ?', query.status), ...when('invoice_id = ?', query.invoice_id)],
  };
  const present = (row: unknown): Payment => {
    const read = paymentRow.parse(row);
    return {
      ...read,
      amount: toDecimal(read.amount, read.currency),
      refunded_amount: toDecimal(read.refunded_amount, read.currency),
    };
  };
  return pageOfRows(call, list, { query, url, present });
}

/** A page of the tenant's cards and other methods, as far as Stripe lets anyone know them. */
export function listPaymentMethods(
  call: Call,
  query: z.output<typeof paymentMethodsQuery>,
  url: string,
): Promise<Reply<200, Page<PaymentMethod>>> {
  const list: List = {
    table: 'payment_methods',
    columns: Object.keys(paymentMethod.shape),
    idColumn: 'payment_method_id',
    conditions: when('is_active = ?', query.is_active),
  };
  return pageOfRows(call, list, { query, url, present: (row) => paymentMethod.parse(row) });
}

interface PageOptions<Item> {
  readonly query: PagedQuery;
  readonly url: string;
  readonly present: (row: unknown) => Item;
}

async function pageOfRows<Item extends { created_at: string }>(
  call: Call,
  { columns, ...list }: List,
  { query, url, present }: PageOptions<Item>,
): Promise<Reply<200, Page<Item>>> {
  const keyset: KeysetList = {
    ...list,
    columns: columns.join(', '),
    timeColumn: 'created_at',
    idType: 'uuid',
  };
  const scope = cursorScope(call, query);
  return pageReply<Item>(scope, url, readPage(scope, query), {
    read: async (step) => (await readKeyset(call.databases.billing, keyset, step)).map(present),
    positionOf: positionIn(keyset),
  });
}
