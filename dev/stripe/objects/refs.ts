/** The id that an expandable field holds, whether it is expanded or not. */
export function refId(ref: string | { readonly id: string }): string;
export function refId(ref: string | { readonly id: string } | null | undefined): string | null;
export function refId(ref: string | { readonly id: string } | null | undefined): string | null {
  if (ref == null) return null;
  return typeof ref === 'string' ? ref : ref.id;
}
