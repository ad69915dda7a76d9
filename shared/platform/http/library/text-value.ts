const NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i;
const WORDS = new Set(['true', 'false', 'null']);
/** White space as JSON has it; `trim` would take more. */
const AROUND = /^[ \t\n\r]+|[ \t\n\r]+$/g;

/** Whether a text may be JSON at all, without trying: an identifier, as nearly all are, is refused at a glance. */
function mayBeJson(text: string): boolean {
  const bare = text.replace(AROUND, '');
  switch (bare.charCodeAt(0)) {
    case 0x22: // "
    case 0x5b: // [
    case 0x7b: // {
      return true;
    default:
      return NUMBER.test(bare) || WORDS.has(bare);
  }
}

/**
 * A text of an invocation as the library hands it over: parsed where it is JSON, or else as it is. The library tries each
 * and catches what is thrown, some ten microseconds for each id of each message of a batch.
 */
export function textValue(text: string): unknown {
  if (!mayBeJson(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
