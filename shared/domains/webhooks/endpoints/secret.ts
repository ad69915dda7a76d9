import { randomBytes } from 'node:crypto';
import type { Call, CallServices } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { binding, open, seal } from '../../../platform/crypto/sealing.ts';

/** Standard Webhooks: 24 to 64 bytes. */
const SECRET_BYTES = 32;

/** A secret under a data key of its tenant. */
export interface SealedSecret {
  readonly sealed: Uint8Array;
  readonly keyId: string;
}

/**
 * Makes an endpoint's secret. Its text is shown once, and stored only sealed: bound to the tenant and the endpoint.
 * @throws Problem 409 for the platform's own tenant, which has no data key.
 */
export async function newSecret(
  call: Call,
  endpointId: string,
): Promise<SealedSecret & { readonly secret: string }> {
  const { dataKeyId } = call.context;
  if (dataKeyId === null) throw new Problem('CONFLICT', { detail: 'This tenant has no webhooks.' });
  const { key } = await call.services.dataKeys.find(call.tenant.tenantId, dataKeyId);
  const secret = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
  const sealed = seal(key, Buffer.from(secret, 'utf8'), binding(call.tenant.tenantId, endpointId));
  return { secret, sealed, keyId: dataKeyId };
}

/**
 * Opens an endpoint's secret.
 * @throws DataKeyDestroyed for an erased tenant, SealBroken, and what finding a key throws.
 */
export async function openSecret(
  dataKeys: CallServices['dataKeys'],
  of: { readonly tenantId: string; readonly endpointId: string },
  { sealed, keyId }: SealedSecret,
): Promise<string> {
  const { key } = await dataKeys.find(of.tenantId, keyId);
  return open(key, sealed, binding(of.tenantId, of.endpointId)).toString('utf8');
}
