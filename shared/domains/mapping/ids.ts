// SQL that other domains put into their own: what a mapping is called and came from, without its tables.

/** The ids by which a hold may name what came of a mapping: its own, its orchestration's and that one's job's. */
export function mappingIdsSql(of: { tenantId: string; mappingId: string }): string {
  return `ops.mapping_ids(${of.tenantId}, ${of.mappingId})`;
}

/** The orchestration that a mapping maps a finding of; null where there is none. */
export function orchestrationOfMappingSql(of: { tenantId: string; mappingId: string }): string {
  return `ops.orchestration_of(${of.tenantId}, ${of.mappingId})`;
}
