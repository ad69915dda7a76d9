import { readSettings } from '../../shared/platform/config/settings.ts';
import { openServices } from '../../functions/services.ts';
import { carryAll } from '../../shared/domains/billing/catalog/carry.ts';
import type { AppSettings } from './app-settings.ts';

/**
 * Makes the plans at the stand-in for Stripe, as `npm run stripe:carry` does at Stripe. What is there already stays. Returns how many
 * plans and codes were carried. Throws the first failure.
 */
export async function carryPlans(settings: AppSettings): Promise<number> {
  const services = openServices(readSettings({ ...settings }));
  try {
    const { carried, failed } = await carryAll(services);
    const [first] = failed;
    if (first !== undefined)
      throw new Error(`${first.name} could not be made at Stripe: ${reasonOf(first.error)}`, {
        cause: first.error,
      });
    return carried.length;
  } finally {
    await services.close();
  }
}

/** A problem's message is only its code, and its cause says more. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
