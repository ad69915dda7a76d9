// SQL that other domains put into their own: what an orchestration is called, without its tables.

/** The ids by which a hold may name what came of an orchestration: its own, and its job's. */
export function orchestrationIdsSql(of: { tenantId: string; orchestrationId: string }): string {
  return `ops.orchestration_ids(${of.tenantId}, ${of.orchestrationId})`;
}

/** The orchestration that runs as a job; null where there is none. */
export function orchestrationOfJobSql(of: { tenantId: string; jobId: string }): string {
  return `(select o.request_id from orchestration_requests o where o.tenant_id = ${of.tenantId} and o.job_id = ${of.jobId})`;
}
