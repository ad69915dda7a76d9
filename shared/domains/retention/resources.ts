import type { Resource } from '../../platform/resources/resource.ts';
import { legalHolds } from './legal-holds.ts';
import { dataRetentionPolicies } from './retention-policies.ts';

/** The domain's declared resources; its routes and their tests follow from this list. */
export const retentionResources: readonly Resource[] = [dataRetentionPolicies, legalHolds];
