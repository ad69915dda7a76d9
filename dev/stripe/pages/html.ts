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
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 1.5rem auto; padding: 0 1rem; color: #1a1f36; }
  h1 { font-size: 1.75rem; line-height: 1.25; overflow-wrap: anywhere; }
  h2 { font-size: 1.25rem; line-height: 1.25; margin: 0 0 .5rem; }
  form, section { border: 1px solid #d8dee4; border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
  section form { border: 0; padding: 0; margin: .75rem 0 0; }
  label { display: block; margin: .75rem 0 .2rem; font-weight: 600; }
  form > label:first-child { margin-top: 0; }
  input, select { font: inherit; padding: .5rem; width: 100%; box-sizing: border-box; border: 1px solid #6c7688; border-radius: .25rem; background: #fff; color: inherit; }
  input[aria-invalid] { border: 2px solid #b3093c; }
  button { font: inherit; margin-top: .75rem; padding: .5rem 1rem; min-height: 2.75rem; border: 1px solid #6c7688; border-radius: .25rem; background: #fff; color: inherit; cursor: pointer; }
  button.main { background: #4b3fd1; border-color: #4b3fd1; color: #fff; font-weight: 600; }
  a { color: #4b3fd1; }
  :focus-visible { outline: 3px solid #f0a000; outline-offset: 2px; }
  table { border-collapse: collapse; width: 100%; }
  td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; }
  td:first-child { overflow-wrap: anywhere; }
  td:last-child, th:last-child { text-align: right; padding-right: 0; white-space: nowrap; }
  .hint { margin: .2rem 0 0; color: #545d70; font-size: .85rem; }
  [role=alert] { margin: .3rem 0 .5rem; color: #b3093c; font-weight: 600; }
  .warning { padding-left: .75rem; border-left: 4px solid #f0a000; }
  [role=status] { color: #006908; font-weight: 600; }
  footer { margin-top: 2rem; color: #545d70; font-size: .85rem; }
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
        <main>
          <h1>${title}</h1>
          ${body}
        </main>
        <footer>A stand-in for Stripe on this machine. No money moves; only Stripe's test cards work.</footer>
      </body>
    </html>`.text
  }`;
}

export function formatDay(time: number): string {
  return new Date(time * 1000).toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC',
  });
}

/** `past due`, for people. */
export function formatStatus(status: string | null): string {
  return (status ?? '').replaceAll('_', ' ');
}
