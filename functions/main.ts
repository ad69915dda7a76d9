import './http/analyses.ts';
import './http/analysis-metrics.ts';
import './http/api-docs.ts';
import './http/api-keys.ts';
import './http/health.ts';
import './http/mappings.ts';
import './http/jobs.ts';
import './http/orchestrations.ts';
import './http/platform-tenants.ts';
import './http/records.ts';
import './http/resources.ts';
import './queue/archive-records.ts';
import './queue/audit-events.ts';
import './queue/usage-events.ts';
import { registerFallback } from '../shared/http/endpoint.ts';

registerFallback();
