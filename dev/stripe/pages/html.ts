/** Text that is HTML already; anything else is escaped where it is put. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Piece = Html | string | number | null | undefined | false | readonly Piece[];

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '&quot;',
  '&': '&amp;',
  "'": '&#39;',
  '<': '&lt;',
  '>': '&gt;',
};

function render(piece: Piece): string {
  if (piece === null || piece === undefined || piece === false) return '';
  if (piece instanceof Html) return piece.text;
  if (typeof piece === 'string') return piece.replaceAll(/["&'<>]/g, (char) => ESCAPES[char] ?? char);
  return typeof piece === 'number' ? String(piece) : piece.map(render).join('');
}

/** html`<p>${text}</p>` */
export function html(strings: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return new Html(strings.map((text, index) => text + render(pieces[index])).join(''));
}

const STYLE = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; color: #1a1f36; }
  form, section { border: 1px solid #d8dee4; border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
  section form { border: 0; padding: 0; margin: .5rem 0; }
  label { display: block; margin: .5rem 0 .1rem; }
  input, select { font: inherit; padding: .4rem; width: 100%; box-sizing: border-box; }
  button { font: inherit; margin-top: .75rem; padding: .5rem 1rem; }
  table { border-collapse: collapse; width: 100%; }
  td, th { text-align: left; padding: .25rem .5rem .25rem 0; }
  td:last-child, th:last-child { text-align: right; }
  [role=alert] { color: #b3093c; font-weight: 600; }
  [role=status] { color: #006908; font-weight: 600; }
  footer { color: #687385; font-size: .85rem; }
`;

/** A whole page, which needs no scripts. */
export function renderPage(title: string, body: Html): string {
  return `<!doctype html>${
    html`<html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <h1>${title}</h1>
        ${body}
        <footer>A stand-in for Stripe on this machine. No money moves; only Stripe's test cards work.</footer>
      </body>
    </html>`.text
  }`;
}

export function alertOf(message: string | undefined): Html | undefined {
  return message === undefined ? undefined : html`<p role="alert">${message}</p>`;
}

export function formatDay(time: number): string {
  return new Date(time * 1000).toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC',
  });
}
