import { findExistingIn } from '../../platform/db/find-existing.ts';

/** Which mappings exist. */
export const findExistingMappings = findExistingIn('mapper_requests');
