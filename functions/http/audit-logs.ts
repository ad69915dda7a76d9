import { listAuditLogs, readAuditLog } from '../../shared/domains/audit/read-audit-logs.ts';
import { auditLog, auditLogsQuery, auditLogWithProof } from '../../shared/domains/audit/schemas.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { idParams } from '../../shared/platform/http/fields.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

export const auditLogsEndpoints = [
  endpoint({
    name: 'audit-logs-list',
    method: 'GET',
    path: 'v1/audit-logs',
    tag: 'audit',
    summary: 'List the audit trail, by actor, action, resource, trace and time',
    permission: 'audit:read',
    query: auditLogsQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(auditLog), headers: ['Link'] } },
    run: (call, { query, url }) => listAuditLogs(call, query, url),
  }),
  endpoint({
    name: 'audit-logs-read',
    method: 'GET',
    path: 'v1/audit-logs/{id}',
    tag: 'audit',
    summary: 'Read an entry of the audit trail, with the bytes that its hash covers',
    permission: 'audit:read',
    params: idParams,
    responses: { 200: { description: 'The entry.', schema: auditLogWithProof } },
    run: (call, { params }) => readAuditLog(call, params.id),
  }),
];
