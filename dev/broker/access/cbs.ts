import type { Reply, Request } from '../request.ts';
import { pathCovers, resourcePath, verifySasToken, type Claim, type SasKey } from './sas.ts';

const ACCEPTED = 202;
const UNAUTHORIZED = 401;
const BAD_REQUEST = 400;

/** The claims of one connection: the entities that its tokens give access to. */
export class Claims {
  readonly #sas: SasKey;
  readonly #now: () => number;
  readonly #untilByPath = new Map<string, number>();

  constructor(sas: SasKey, now: () => number) {
    this.#sas = sas;
    this.#now = now;
  }

  /** Whether an unexpired claim covers the address: an entity, or a part of one. */
  cover(address: string): boolean {
    const entity = resourcePath(address);
    const now = this.#now();
    return [...this.#untilByPath].some(([path, until]) => until > now && pathCovers(path, entity));
  }

  /** Answers a request to $cbs: a valid token becomes a claim, anything else 400 or 401. */
  answer(request: Request): Reply {
    const { operation, name, type } = request.properties;
    if (operation !== 'put-token' || typeof name !== 'string' || typeof request.body !== 'string') {
      return reply(BAD_REQUEST, '$cbs supports only put-token with a name and a token.');
    }
    if (type !== 'servicebus.windows.net:sastoken') {
      return reply(UNAUTHORIZED, 'The development broker accepts only shared access signatures.');
    }
    const claim: Claim | string = verifySasToken(request.body, name, this.#sas, this.#now());
    if (typeof claim === 'string') return reply(UNAUTHORIZED, claim);
    this.#untilByPath.set(claim.path, claim.until);
    return reply(ACCEPTED, 'Accepted');
  }
}

function reply(status: number, description: string): Reply {
  return { properties: { 'status-code': status, 'status-description': description } };
}
