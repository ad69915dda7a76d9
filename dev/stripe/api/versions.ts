import Stripe from 'stripe';
import type { Major } from '../objects/older-shapes/in-version.ts';
import { invalidRequest, notInStandIn } from './stripe-error.ts';

export type ApiVersion = Stripe.WebhookEndpointCreateParams.ApiVersion;

/** The versions whose shapes the stand-in knows. It keeps its objects in that of the last. */
const API_VERSIONS = [
  '2024-09-30.acacia',
  '2024-10-28.acacia',
  '2024-11-20.acacia',
  '2024-12-18.acacia',
  '2025-01-27.acacia',
  '2025-02-24.acacia',
  '2025-03-31.basil',
  '2025-04-30.basil',
  '2025-05-28.basil',
  '2025-06-30.basil',
  '2025-07-30.basil',
  '2025-08-27.basil',
  '2025-09-30.clover',
  '2025-10-29.clover',
  '2025-11-17.clover',
  '2025-12-15.clover',
  '2026-01-28.clover',
  '2026-02-25.clover',
  '2026-03-25.dahlia',
  '2026-04-22.dahlia',
  '2026-05-27.dahlia',
  '2026-06-24.dahlia',
  '2026-07-29.dahlia',
  '2026-08-26.dahlia',
  '2026-09-30.endive',
  '2026-10-28.endive',
] as const satisfies readonly ApiVersion[];

const OLDER = /^20(1[1-9]|2[0-5])-\d\d-\d\d([.]dashboard)?$/;

const MAJORS: readonly Major[] = ['acacia', 'basil', 'clover', 'dahlia', 'endive'];

/** A version that the stand-in knows. Throws 501 for one from before acacia, 400 for one that Stripe never had. */
export function readVersion(version: string, param?: string): ApiVersion {
  const found = API_VERSIONS.find((known) => known === version);
  if (found !== undefined) return found;
  if (OLDER.test(version)) throw notInStandIn(`the shapes of the API version ${version}`, param);
  throw invalidRequest(`Invalid Stripe API version: ${version}`, param === undefined ? {} : { param });
}

/** The version to answer in: the account's own, which is the SDK's, unless the request says another. */
export function chooseVersion(header: string | undefined): ApiVersion {
  return header === undefined ? Stripe.API_VERSION : readVersion(header);
}

/** `basil` of `2025-03-31.basil`. */
export function majorOf(version: ApiVersion): Major {
  const name = version.split('.')[1];
  const major = MAJORS.find((one) => one === name);
  if (major === undefined) throw new Error(`no shapes are known of ${version}`);
  return major;
}
