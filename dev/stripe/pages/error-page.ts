import type { ControlAnswer } from '../api/control-route.ts';
import type { StripeError } from '../api/stripe-error.ts';
import { alertOf } from './field.ts';
import { html, renderPage } from './html.ts';

/** What a person sees instead of a page. */
export function showError({ status, body }: StripeError): ControlAnswer {
  return { status, html: renderPage('This did not work', html`${alertOf({ fault: body.message })}`) };
}
