import type { DescribedTag } from '../shared/platform/http/openapi.ts';
import { declaredResources } from './declared-resources.ts';

/** Each declared resource is a group of routes, with its own description. */
const RESOURCE_TAGS = declaredResources.map(({ name, description }) => ({ name, description }));

/** The groups of routes, in the order in which a newcomer needs them. */
export const API_TAGS: readonly DescribedTag[] = [
  {
    name: 'orchestrations',
    description:
      'A piece of content that detectors checked: the request, each detector’s result, and the outcome. It is sent in one call or part by part, and its coverage is computed here from the routing plan.',
  },
  {
    name: 'mappings',
    description:
      'What a detector found, mapped to the canonical taxonomy. A mapping with its response becomes a storage record and a blob in the archive.',
  },
  {
    name: 'records',
    description:
      'The evidence from mappings, kept for 90 days or as long as the tenant’s policy requires. A record’s source is sealed: reading it needs a separate permission and is audited.',
  },
  {
    name: 'analyses',
    description:
      'The analysis module’s explanation of a period’s findings. If no answer comes, or its confidence is too low, a template replaces it, and the analysis says so.',
  },
  {
    name: 'analysis-metrics',
    description:
      'Figures over time on which analyses are based. They are read as points, or added up by hour, day, week or month.',
  },
  {
    name: 'lineage',
    description:
      'Everything that an item came from, and everything that was made from it. The answer includes blobs and audit entries.',
  },
  {
    name: 'audit',
    description:
      'Who did what, when and with what outcome. Only the service adds entries, and they never change.',
  },
  {
    name: 'usage',
    description:
      'What the tenant has used of its plan in the current period. On the free plan it also shows what is left and when the next period starts.',
  },
  {
    name: 'billing',
    description:
      'What is sold, the tenant’s subscription from checkout to cancellation, and its invoices and payments. Prices are decimals beside their currency, and a suspended tenant can still pay.',
  },
  {
    name: 'async-orchestrations',
    description:
      'The state of asynchronous orchestrations, by the `job_id` that `POST /orchestrations` answers. A pending or running one can be cancelled.',
  },
  ...RESOURCE_TAGS,
  {
    name: 'tenant',
    description:
      'The tenant itself: its status, an export of everything that it has, and its leaving. A tenant that leaves may only read and export for some days, in which that can be undone, and is then erased.',
  },
  {
    name: 'tenant-config',
    description:
      'The tenant’s settings: frameworks, cutoffs, rate limit, retention, identity providers. They are replaced as a whole, with `If-Match`.',
  },
  {
    name: 'webhooks',
    description:
      'Where the tenant is told what happened, and each message with what became of it. Messages are signed as Standard Webhooks describes, sent at least once, and tried again for 24 hours.',
  },
  {
    name: 'api-keys',
    description:
      'The tenant’s keys: created, listed, rotated and revoked. A key can give at most its own permissions, and its text is shown once.',
  },
  {
    name: 'auth',
    description:
      'How people sign in and out, get a new password, confirm their address, and add a second factor. Nobody can register: people are invited to a tenant.',
  },
  {
    name: 'me',
    description:
      'Who calls, where, and with which permissions. People see and end their sessions here, and change their password.',
  },
  {
    name: 'users',
    description: 'The people of the tenant, and the roles that they have. Its last owner cannot be removed.',
  },
  {
    name: 'roles',
    description:
      'What people may do: the roles that every tenant has, and a tenant’s own. Nobody gives what they do not hold.',
  },
  {
    name: 'invitations',
    description:
      'How people join a tenant: an invitation to their address, with roles. It is valid for seven days, and once.',
  },
  {
    name: 'data-keys',
    description:
      'The keys that seal the tenant’s content: which one seals now, and which ones open older content. A new one can be made at any time, and no key is ever shown.',
  },
  {
    name: 'platform',
    description:
      'For operators: tenants and their legal holds, the timers’ jobs and their runs, messages in quarantine, the service’s health, and the events of Stripe. It needs the permission `platform:operate`.',
  },
  {
    name: 'health',
    description:
      'Whether the process runs, whether it can serve requests, and what worked over the last 90 days. Load balancers and people call it without a key.',
  },
  {
    name: 'documentation',
    description:
      'This description, as a document and as a page. Both come from the definitions of the running service.',
  },
];

/** The beginning of the document: what this API is, how to start, and the rules of every route. */
export const API_DESCRIPTION = `
The system of record for AI compliance. It keeps what detectors found in content, how that was mapped and explained, and the
evidence of all that.

## Getting started

You need an API key. An operator makes the first one with your tenant; locally, \`npm start\` prints one.

\`\`\`sh
API=http://localhost:7071/api/v1     # or your service's address
KEY=cai_…

# 1. Send what a detector found, with the mapper's answer.
curl -s "$API/mappings" -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -H "Idempotency-Key: first-mapping" -d '{
    "detector": "regex-pii", "source_data": "SSN 123-45-6789", "model_version": "v1",
    "response": { "taxonomy": ["PII.Identifier.SSN"], "scores": { "PII.Identifier.SSN": 0.97 },
                  "confidence": 0.97, "processing_time_ms": 120, "model_used": "mapper-8b" } }'

# 2. Read the records made from it, newest first. The Link header leads to the next page.
curl -si "$API/records?limit=10" -H "Authorization: Bearer $KEY"

# 3. See what you have used.
curl -s "$API/usage" -H "Authorization: Bearer $KEY"
\`\`\`

## Rules of every route

- **Errors** are problem documents (RFC 9457) with a stable \`code\`. All faults of a request are reported at once, by JSON pointer.
- **Lists** are read page by page: follow \`Link: <…>; rel="next"\` as long as it is present.
- **Writes** can be repeated safely: send an \`Idempotency-Key\` with a POST, and the same request gets its first answer again for 24 hours.
- **Limits**: in every answer, \`RateLimit\` shows what is left of the key's hour and day. With 429, \`Retry-After\` says how long to wait.
- **Billing**: after a failed payment, every answer has \`Billing-Standing: past_due; grace-ends="…"\`, and everything works until then. After that it is \`read_only\`: writes are 402 \`PAYMENT_REQUIRED\` until the tenant has paid, reads and the billing routes work.
- **Bodies** are JSON, uncompressed or with \`Content-Encoding: gzip\`. Unknown fields and query parameters are refused.
- **HEAD** works wherever GET does.
`.trim();
