import { renderFallback, respondToAnalysis } from '../../shared/domains/analysis/complete-analysis.ts';
import { listAnalyses, readAnalysis } from '../../shared/domains/analysis/read-analyses.ts';
import {
  ANALYSIS_WRITE,
  prepareAnalysisBatch,
  recordAnalysis,
} from '../../shared/domains/analysis/record-analysis.ts';
import {
  analysesQuery,
  analysis,
  analysisCreated,
  analysisResponse,
  fallbackRequest,
  newAnalysis,
} from '../../shared/domains/analysis/schemas.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { requestIdParams } from '../../shared/platform/http/fields.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';
import { batchBody, BATCH_BODY_LIMIT, batchOutcome, writeBatch } from '../../shared/platform/writes/batch.ts';

export const analysesEndpoints = [
  endpoint({
    name: 'analyses-create',
    method: 'POST',
    path: 'v1/analyses',
    tag: 'analyses',
    summary: 'Add an analysis, with or without its response',
    description:
      'If the confidence of the response is under the tenant’s `confidence_cutoff`, the active template of the analysis’s type replaces it.',
    permission: 'analyses:write',
    body: newAnalysis,
    responses: { 201: { description: 'Recorded.', schema: analysisCreated, headers: ['Location'] } },
    run: (call, { body }) => recordAnalysis(call, body),
  }),
  endpoint({
    name: 'analyses-batch-create',
    method: 'POST',
    path: 'v1/analyses/batch',
    tag: 'analyses',
    summary: 'Add up to 100 analyses, each with its own outcome',
    permission: 'analyses:write',
    body: batchBody,
    bodyLimit: BATCH_BODY_LIMIT,
    responses: { 207: { description: 'The outcome of each.', schema: batchOutcome } },
    run: (call, { body }) =>
      writeBatch(call, body.items, {
        schema: newAnalysis,
        write: ANALYSIS_WRITE,
        prepare: prepareAnalysisBatch,
      }),
  }),
  endpoint({
    name: 'analyses-respond',
    method: 'PUT',
    path: 'v1/analyses/{request_id}/response',
    tag: 'analyses',
    summary: 'Complete an analysis with its response',
    description:
      'If the confidence of the response is under the tenant’s `confidence_cutoff`, the active template of the analysis’s type replaces it. The response is kept as `submitted_response`.',
    permission: 'analyses:write',
    params: requestIdParams,
    body: analysisResponse,
    responses: {
      200: { description: 'Completed; the same response again changes nothing.', schema: analysis },
    },
    run: (call, { params, body }) => respondToAnalysis(call, params.request_id, body),
  }),
  endpoint({
    name: 'analyses-fall-back',
    method: 'POST',
    path: 'v1/analyses/{request_id}/fallback',
    tag: 'analyses',
    summary: 'Complete a pending analysis with the template of its type',
    permission: 'analyses:write',
    params: requestIdParams,
    body: fallbackRequest,
    responses: { 200: { description: 'Rendered; a repetition changes nothing.', schema: analysis } },
    run: (call, { params, body }) => renderFallback(call, params.request_id, body),
  }),
  endpoint({
    name: 'analyses-read',
    method: 'GET',
    path: 'v1/analyses/{request_id}',
    tag: 'analyses',
    summary: 'Read an analysis with its response',
    permission: 'analyses:read',
    params: requestIdParams,
    responses: { 200: { description: 'The analysis.', schema: analysis } },
    run: (call, { params }) => readAnalysis(call, params.request_id),
  }),
  endpoint({
    name: 'analyses-list',
    method: 'GET',
    path: 'v1/analyses',
    tag: 'analyses',
    summary: 'List analyses',
    permission: 'analyses:read',
    query: analysesQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(analysis), headers: ['Link'] } },
    run: (call, { query, url }) => listAnalyses(call, query, url),
  }),
];
