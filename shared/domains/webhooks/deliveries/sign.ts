import { Webhook } from 'standardwebhooks';

/**
 * The header `webhook-signature` of Standard Webhooks: id, time and body are signed together, with each secret. Only who sends
 * messages loads this file, so no cold start pays for the library.
 */
export function signatureHeader(
  secrets: readonly string[],
  message: { readonly id: string; readonly at: Date; readonly body: string },
): string {
  return secrets.map((secret) => new Webhook(secret).sign(message.id, message.at, message.body)).join(' ');
}
