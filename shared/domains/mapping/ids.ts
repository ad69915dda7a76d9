// SQL for other domains' statements: a mapping's ids and origin, without its tables.

/** The ids that a hold may use for what came from a mapping: the mapping's, its orchestration's and the `job_id`. */
export function mappingIdsSql(of: { tenantId: string; mappingId: string }): string {
  return `ops.mapping_ids(${of.tenantId}, ${of.mappingId})`;
}

/** The id of a mapping's orchestration; null without one. */
export function orchestrationOfMappingSql(of: { tenantId: string; mappingId: string }): string {
  return `ops.orchestration_of(${of.tenantId}, ${of.mappingId})`;
}
