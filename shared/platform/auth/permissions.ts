/** What a caller may do. */
export const PERMISSIONS = [
  'orchestrations:write',
  'orchestrations:read',
  'mappings:write',
  'mappings:read',
  'mappings:review',
  'records:read',
  'records:read_source',
  'analyses:write',
  'analyses:read',
  'metrics:write',
  'metrics:read',
  'config:write',
  'config:read',
  'tenant_config:write',
  'retention:write',
  'retention:read',
  'lineage:read',
  'audit:read',
  'usage:read',
  'alerts:read',
  'alerts:manage',
  'billing:read',
  'billing:manage',
  'api_keys:read',
  'api_keys:manage',
  'users:read',
  'users:manage',
  'roles:manage',
  'webhooks:read',
  'webhooks:manage',
  'data_keys:rotate',
  'tenant:export',
  'tenant:offboard',
  'platform:operate',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** What a route needs: a permission, any valid credential (`authenticated`), or the credential of a person (`person`). */
export type Access = Permission | 'authenticated' | 'person';

const READS: readonly Permission[] = [
  'orchestrations:read',
  'mappings:read',
  'records:read',
  'analyses:read',
  'metrics:read',
  'config:read',
  'retention:read',
  'lineage:read',
  'audit:read',
  'usage:read',
  'alerts:read',
];

const WRITES: readonly Permission[] = [
  'orchestrations:write',
  'mappings:write',
  'analyses:write',
  'metrics:write',
  'config:write',
];

/**
 * The usual sets of permissions. `reader`: reads everything except sources. `writer`: a service that also writes evidence.
 * `owner`: everything that a tenant may do, including the review of what a service wrote. `billing_admin`: the subscription, what it
 * costs and what is used of it. `auditor`: sees everything, sources and people too, and changes nothing. `operator`: a key of the
 * platform.
 */
export const PERMISSION_SETS = {
  reader: READS,
  writer: [...READS, ...WRITES],
  owner: [
    ...READS,
    ...WRITES,
    'mappings:review',
    'records:read_source',
    'tenant_config:write',
    'retention:write',
    'alerts:manage',
    'billing:read',
    'billing:manage',
    'api_keys:read',
    'api_keys:manage',
    'users:read',
    'users:manage',
    'roles:manage',
    'webhooks:read',
    'webhooks:manage',
    'data_keys:rotate',
    'tenant:export',
    'tenant:offboard',
  ],
  auditor: [...READS, 'records:read_source', 'billing:read', 'api_keys:read', 'users:read', 'webhooks:read'],
  billing_admin: ['usage:read', 'billing:read', 'billing:manage'],
  operator: [
    ...READS,
    ...WRITES,
    'tenant_config:write',
    'retention:write',
    'alerts:manage',
    'api_keys:read',
    'api_keys:manage',
    'users:read',
    'users:manage',
    'platform:operate',
  ],
} as const satisfies Record<string, readonly Permission[]>;

const KNOWN: ReadonlySet<string> = new Set(PERMISSIONS);

/** The permissions of a stored list that this build knows. An unknown name grants nothing. */
export function knownPermissions(stored: unknown): ReadonlySet<Permission> {
  if (!Array.isArray(stored)) return new Set();
  return new Set(stored.filter((name): name is Permission => typeof name === 'string' && KNOWN.has(name)));
}
