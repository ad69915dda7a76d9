import type { BillingApp } from './billing-app.ts';

/** When something was written here, and by how many writes, depends on the order of the events. */
const OF_THE_WRITE = ['synced_at', 'updated_at', 'version', 'tenant_id'];
/** At Stripe, cards and payments live in the time of the machine, not in that of a test clock. */
const OF_THE_MACHINE: Readonly<Record<string, readonly string[]>> = {
  billing_payments: ['created_at', 'paid_at'],
  payment_methods: ['created_at'],
};
/** What orders the rows of a table, where the ids do not. */
const ORDERS: Readonly<Record<string, string>> = {
  user_subscriptions: 'created_at, subscription_id',
  billing_invoices: 'created_at, invoice_number',
  billing_payments: `(select i.created_at from billing_invoices i where i.tenant_id = billing_payments.tenant_id
    and i.invoice_id = billing_payments.invoice_id), amount, status`,
  payment_methods: 'card_last_four, card_brand, card_exp_year',
};

/** Ids of this service and of Stripe. Each becomes its number in the order in which ids appear. */
const ID =
  /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?:cus|sub|si|in|il|pi|ch|pm|price|cs_test)_[A-Za-z0-9]{8,}/g;

/** A tenant's rows of everything that Stripe's events write, as text: of two tenants with the same story it is the same. */
export async function readBillingRows({ app }: BillingApp, tenantId: string): Promise<string> {
  const { billing, core } = app.admin;
  const rows: Record<string, unknown> = {};
  for (const [table, order] of Object.entries(ORDERS)) {
    const found = await billing`select to_jsonb(t) as row
      from (select * from ${billing(table)} where tenant_id = ${tenantId} order by ${billing.unsafe(order)}) t`;
    rows[table] = found.map(({ row }) => plain(table, row as Record<string, unknown>));
  }
  rows['open mismatches'] = await billing`select kind, object_type from ops.stripe_mismatches
    where tenant_id = ${tenantId} and resolved_at is null order by kind, object_type`;
  rows['tenant'] = await core`select plan_id, has_quota, billing_standing, billing_grace_ends_at from tenants
    where tenant_id = ${tenantId}`;
  const names = new Map<string, string>();
  return JSON.stringify(rows, null, 1)
    .replaceAll(/"http[^"]*"/g, '"an address"')
    .replaceAll(/"[A-Z0-9]{8}-(\d{4})"/g, '"number $1"')
    .replaceAll(ID, (id) => {
      const name = names.get(id) ?? `id ${names.size + 1}`;
      names.set(id, name);
      return name;
    });
}

function plain(table: string, row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const machines = OF_THE_MACHINE[table] ?? [];
  return Object.fromEntries(
    Object.entries(row)
      .filter(([column]) => !OF_THE_WRITE.includes(column))
      .map(([column, value]) => [column, machines.includes(column) && value !== null ? 'a time' : value]),
  );
}
