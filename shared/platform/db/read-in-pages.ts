/** A place in an order by time and id: the time as text, with its microseconds. */
export type Place = readonly [at: string, id: string];

/** How rows are read in pages. */
export interface Pages<Row> {
  readonly size: number;
  /** An id before every other. */
  readonly firstId: string;
  /** Reads at most `size` rows after a place, in order. */
  readonly read: (after: Place) => Promise<readonly Row[]>;
  readonly placeOf: (row: Row) => Place;
}

/** Reads rows page by page, so that no table is ever in memory. Ends with the first page that is not full. */
export async function* readInPages<Row>({
  size,
  firstId,
  read,
  placeOf,
}: Pages<Row>): AsyncGenerator<readonly Row[]> {
  let after: Place = ['-infinity', firstId];
  for (;;) {
    const rows = await read(after);
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < size) return;
    after = placeOf(last);
  }
}
