import { patch } from './patch.ts';
import type { Step } from './patch.ts';

const OLDER_UI_MODES = new Map([
  ['elements', 'custom'],
  ['embedded_page', 'embedded'],
  ['hosted_page', 'hosted'],
]);

/** Dahlia (2026-03-25): how a checkout is shown has got other names. */
export const beforeDahlia: Step = (object) => {
  if (object.object !== 'checkout.session') return undefined;
  const { ui_mode: mode } = object;
  return patch(object, { ui_mode: mode === null ? null : (OLDER_UI_MODES.get(mode) ?? mode) });
};
