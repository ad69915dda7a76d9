import { findExistingIn } from '../../platform/db/find-existing.ts';

/** Which analyses exist. */
export const findExistingAnalyses = findExistingIn('analysis_requests');
