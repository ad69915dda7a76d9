import { html } from './html.ts';
import type { Html } from './html.ts';

/** What is wrong with what a person has sent. */
export interface Fault {
  readonly fault: string;
  /** The field that it is about, if it is about one. */
  readonly field?: string;
}

interface Field {
  readonly name: string;
  readonly label: string;
  /** What helps a person to fill it in. */
  readonly hint?: string;
  readonly attributes: Html;
}

/** An input with its label and, beside it, what is wrong with it: it then has the focus, and a screen reader reads both. */
export function field({ name, label, hint, attributes }: Field, wrong?: Fault): Html {
  const isWrong = wrong?.field === name;
  const [hintId, faultId] = [`${name}-hint`, `${name}-fault`];
  const described = [...(isWrong ? [faultId] : []), ...(hint === undefined ? [] : [hintId])].join(' ');
  return html`<label for="${name}">${label}</label>
    <input
      id="${name}"
      name="${name}"
      ${attributes}
      ${described !== '' && html`aria-describedby="${described}"`}
      ${isWrong && html`aria-invalid="true" autofocus`}
    />
    ${hint !== undefined && html`<p class="hint" id="${hintId}">${hint}</p>`}
    ${isWrong && html`<p id="${faultId}" role="alert">${wrong.fault}</p>`}`;
}

/** What is wrong, where no field is to blame. */
export function alertOf(wrong: Fault | undefined): Html | undefined {
  return wrong === undefined ? undefined : html`<p role="alert">${wrong.fault}</p>`;
}
