/**
 * SQL that is true for what Stripe sent of an erased tenant's customer. Also for a card that was detached: no object tells whose it
 * was, and the event does. Persons are in it, and nothing needs it: it is not kept.
 */
export function isOfErasedSql(payload: string): string {
  return `exists (select from ops.stripe_customers c where c.is_erased and c.stripe_customer_id in
    (${payload} #>> '{data,object,id}', ${payload} #>> '{data,object,customer}',
     ${payload} #>> '{data,previous_attributes,customer}'))`;
}
