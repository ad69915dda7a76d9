import { findExistingIn } from '../../platform/db/find-existing.ts';

/** Which orchestrations exist. */
export const findExistingOrchestrations = findExistingIn('orchestration_requests');
