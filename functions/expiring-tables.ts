import { expiringAnalyses, expiringMetrics } from '../shared/domains/analysis/expiring.ts';
import { expiringMappings } from '../shared/domains/mapping/expiring.ts';
import { expiringOrchestrations } from '../shared/domains/orchestration/expiring.ts';
import { mappingIdsSql } from '../shared/domains/mapping/ids.ts';
import { expiringRecordsOf } from '../shared/domains/records/expiring.ts';
import type { ExpiringTable } from '../shared/domains/retention/expiring-table.ts';

/**
 * All tables with expiring rows, in the order of expiry. Records come first, because a mapping stays as long as its record.
 */
export const expiringTables: readonly ExpiringTable[] = [
  expiringRecordsOf(mappingIdsSql),
  expiringMappings,
  expiringOrchestrations,
  expiringAnalyses,
  expiringMetrics,
];
