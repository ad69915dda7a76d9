import type { DescribedTag } from '../shared/platform/http/openapi.ts';
import { declaredResources } from './declared-resources.ts';

/** Each declared resource is a group, in its own words. */
const RESOURCE_TAGS = declaredResources.map(({ name, description }) => ({ name, description }));

/** The groups of routes, in the order in which a newcomer needs them. */
export const API_TAGS: readonly DescribedTag[] = [
  {
    name: 'orchestrations',
    description:
      'A piece of content that detectors looked at: the request, each detector’s result, and the outcome. Recorded whole in one call or part by part; coverage is computed here from the routing plan.',
  },
  {
    name: 'mappings',
    description:
      'What a detector found, mapped to the canonical taxonomy. A mapping with its response becomes a storage record and a blob in the archive.',
  },
  {
    name: 'records',
    description:
      'The evidence that mappings leave, kept for 90 days or as long as the tenant’s policy says. A record’s source is sealed: reading it needs a permission of its own and is audited.',
  },
  {
    name: 'analyses',
    description:
      'What the analysis module explained of a period’s findings. Where no answer comes, or one that is not sure enough, a template takes its place and the record says so.',
  },
  {
    name: 'analysis-metrics',
    description:
      'Figures over time that analyses are made of. They are read point by point or summed up by hour, day, week or month.',
  },
  {
    name: 'lineage',
    description:
      'From any thing, all that it came from and all that came of it. The answer leads down to blobs and audit entries.',
  },
  {
    name: 'audit',
    description:
      'Who did what, when and with what outcome. Entries are added by the service alone and never changed.',
  },
  {
    name: 'usage',
    description:
      'What the tenant has used of its plan in the current period. On the free plan it also says what is left and when it starts again.',
  },
  {
    name: 'jobs',
    description:
      'Asynchronous orchestrations: their state while they are pending or running. One that has not ended can be cancelled.',
  },
  ...RESOURCE_TAGS,
  {
    name: 'tenant-config',
    description:
      'The tenant’s settings: frameworks, cutoffs, rate limit, retention. They are replaced as a whole, under `If-Match`.',
  },
  {
    name: 'api-keys',
    description:
      'The tenant’s keys: made, listed, rotated and revoked. A key gives at most what it has itself, and its text is shown once.',
  },
  {
    name: 'platform',
    description:
      'For operators: tenants, the timers’ jobs and their runs, and messages in quarantine. It needs the permission `platform:operate`.',
  },
  {
    name: 'health',
    description:
      'Whether the process runs, and whether it can serve requests. Load balancers ask here, without a key.',
  },
  {
    name: 'documentation',
    description:
      'This description, as a document and as a page. Both come from the definitions that the service runs by.',
  },
];

/** What the document begins with: what this is, how to begin, and what holds for every route. */
export const API_DESCRIPTION = `
The system of record of AI compliance: what detectors found in content, what it was mapped to, how it was explained, and
the evidence of all that.

## Getting started

You need an API key. An operator makes the first one with your tenant; locally, \`npm start\` prints one.

\`\`\`sh
API=http://localhost:7071/api/v1     # or your service's address
KEY=cai_…

# 1. Record what a detector found, with the answer of the mapper.
curl -s "$API/mappings" -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -H "Idempotency-Key: first-mapping" -d '{
    "detector": "regex-pii", "source_data": "SSN 123-45-6789", "model_version": "v1",
    "response": { "taxonomy": ["PII.Identifier.SSN"], "scores": { "PII.Identifier.SSN": 0.97 },
                  "confidence": 0.97, "processing_time_ms": 120, "model_used": "mapper-8b" } }'

# 2. Read the records that came of it, newest first. The Link header leads to the next page.
curl -si "$API/records?limit=10" -H "Authorization: Bearer $KEY"

# 3. See what you have used.
curl -s "$API/usage" -H "Authorization: Bearer $KEY"
\`\`\`

## What holds for every route

- **Errors** are problem documents (RFC 9457) with a stable \`code\`. All faults of a request are told at once, by JSON pointer.
- **Lists** are read page by page: follow \`Link: <…>; rel="next"\` as long as it is there.
- **Writes** can be repeated safely: send an \`Idempotency-Key\` with a POST, and the same request gets its first answer again for 24 hours.
- **Limits**: every answer says in \`RateLimit\` what is left of the key's hour and day; 429 says in \`Retry-After\` how long to wait.
- **Bodies** are JSON, as they are or with \`Content-Encoding: gzip\`. Unknown fields and query parameters are refused.
- **HEAD** works wherever GET does.
`.trim();
