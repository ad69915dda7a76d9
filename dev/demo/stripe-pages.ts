const CARDS = {
  /** Pays. */
  good: '4242 4242 4242 4242',
  /** Is declined at once. */
  declined: '4000 0000 0000 0002',
  /** Can be saved, and each charge is declined. */
  declinedLater: '4000 0000 0000 0341',
};

/** What a person types into a card form of the stand-in's pages. */
export function typeCard(card: keyof typeof CARDS): Record<string, string> {
  return { card_number: CARDS[card], card_expiry: '12/34', card_cvc: '123', card_name: 'Hank Scorpio' };
}

/** Posts a page's form as a browser does, and returns what the page says then: its status or alert, or where it leads. */
export async function submit(page: string, fields: Record<string, string>): Promise<string> {
  const response = await fetch(page, {
    method: 'POST',
    body: new URLSearchParams(fields),
    redirect: 'manual',
  });
  const to = response.headers.get('location');
  if (to !== null) return `leads back to ${to}`;
  const html = await response.text();
  const said = /role="(?:alert|status)">([^<]*)</.exec(html)?.[1] ?? `answers ${response.status}`;
  return `“${said.replaceAll('&#39;', '’')}”`;
}
