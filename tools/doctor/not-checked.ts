/** Something that a check needs is missing: it says nothing, good or bad. The message is the reason. */
export class NotChecked extends Error {
  override name = 'NotChecked';
  /** How it can be checked. */
  readonly remedy: string | undefined;
  constructor(reason: string, remedy?: string) {
    super(reason);
    this.remedy = remedy;
  }
}
