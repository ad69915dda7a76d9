/** Each request replaces this text in the body with its own number. */
export const MARKER = 'bench-number';

const TEXT =
  'The customer wrote from a hotel in Lisbon that the card ending 4242 was charged twice, gave the booking reference and ' +
  'asked for the refund to reach the account that the deposit came from; the agent promised an answer within two days. ';

/** A mapping with its response, as large as the services' own: 400 bytes of source, two labels, provenance. */
export function mappingBody(): string {
  return JSON.stringify({
    detector: 'regex-pii',
    source_data: `${MARKER} ${TEXT.repeat(2)}`.slice(0, 400),
    output: 'credit_card',
    model_version: 'mapper-2025.09',
    metadata: { channel: 'support', language: 'en' },
    response: {
      taxonomy: ['PII.Identifier.CreditCard', 'PII.Contact.Address'],
      scores: { 'PII.Identifier.CreditCard': 0.97, 'PII.Contact.Address': 0.61 },
      confidence: 0.94,
      notes: 'card number in running text',
      provenance: { vendor: 'comply', detector: 'regex-pii', detector_version: '3.1', route: 'default' },
      processing_time_ms: 41,
      model_used: 'mapper-8b',
    },
  });
}
