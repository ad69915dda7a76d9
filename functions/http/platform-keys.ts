import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { readKeys } from '../../shared/domains/keys/read-keys.ts';
import { platformKeys } from '../../shared/domains/keys/schemas.ts';

export const platformKeysEndpoints = [
  endpoint({
    name: 'platform-keys-read',
    method: 'GET',
    path: 'v1/platform/keys',
    tag: 'platform',
    permission: 'platform:operate',
    summary: 'Which keys are used, how old they are, and how much is left of a rotation; never a key',
    responses: { 200: { description: 'The keys.', schema: platformKeys } },
    run: (call) => readKeys(call),
  }),
];
