import type { KeysetList } from '../db/keyset.ts';

/** A row of {@link DATA_KEYS_LIST}. */
export interface ListedDataKey {
  readonly [column: string]: unknown;
  readonly key_id: string;
  readonly created_at: string;
  readonly destroyed_at: string | null;
}

/** A tenant's data keys, without the keys. */
export const DATA_KEYS_LIST: KeysetList = {
  table: 'ops.data_keys',
  columns: 'key_id, created_at, destroyed_at',
  timeColumn: 'created_at',
  idColumn: 'key_id',
  idType: 'uuid',
  conditions: [],
};
