// SQL for other domains' statements: an orchestration's ids, without its tables.

/** The ids that a hold may use for what came from an orchestration: its own and its `job_id`. */
export function orchestrationIdsSql(of: { tenantId: string; orchestrationId: string }): string {
  return `ops.orchestration_ids(${of.tenantId}, ${of.orchestrationId})`;
}

/** The id of the orchestration with a `job_id`; null without one. */
export function orchestrationOfJobSql(of: { tenantId: string; jobId: string }): string {
  return `(select o.request_id from orchestration_requests o where o.tenant_id = ${of.tenantId} and o.job_id = ${of.jobId})`;
}
