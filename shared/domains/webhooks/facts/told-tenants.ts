import type { TenantStatus } from '../../../platform/auth/tenant-context.ts';

/** Whether a tenant is told anything. One that leaves still is: its systems work until the end. */
export function isTold(status: TenantStatus): boolean {
  return status === 'active' || status === 'offboarding';
}
