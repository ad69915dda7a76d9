import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIPv4 } from 'node:net';

// X.509 certificates for tests of TLS. node:crypto signs and reads certificates but does not write them, and not every
// machine has openssl, so the few parts of DER that they need are written here.

/** A certificate with its key, in PEM. */
export interface Certified {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate says. */
export interface Wanted {
  readonly name: string;
  /** Host names and IPv4 addresses that it is for. Absent: it is an authority's. */
  readonly hosts?: readonly string[];
  /** Days from now. Default: from yesterday to tomorrow. */
  readonly days?: readonly [number, number];
}

/** An authority: its certificate, and what it signs. */
export interface Authority {
  readonly certificate: string;
  certify(wanted: Wanted): Certified;
}

const DAY_MS = 86_400_000;

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const octets = (content: Uint8Array): Buffer => der(0x04, content);
const bits = (content: Uint8Array): Buffer => der(0x03, Buffer.from([0]), content);
const TRUE = der(0x01, Buffer.from([0xff]));

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const number of others) {
    const groups = [number & 0x7f];
    for (let left = number >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

const SIGNED_BY = sequence(oid('1.2.840.10045.4.3.2')); // ECDSA with SHA-256

const nameOf = (name: string): Buffer =>
  sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(name)))));

const timeIn = (days: number): Buffer => {
  const text = new Date(Date.now() + days * DAY_MS).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return der(0x17, Buffer.from(text.slice(2)));
};

function extensionsOf({ hosts }: Wanted): Buffer {
  const constraints = sequence(
    oid('2.5.29.19'),
    TRUE,
    octets(sequence(...(hosts === undefined ? [TRUE] : []))),
  );
  if (hosts === undefined) return sequence(constraints);
  const names = hosts.map((host) =>
    isIPv4(host) ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host)),
  );
  return sequence(constraints, sequence(oid('2.5.29.17'), octets(sequence(...names))));
}

function pem(label: string, content: Uint8Array): string {
  const lines =
    Buffer.from(content)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const newPair = (): Pair => generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

function write(wanted: Wanted, pair: Pair, issuer: string, signer: KeyObject): Certified {
  const [from, until] = wanted.days ?? [-1, 1];
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1]), randomBytes(8)),
    SIGNED_BY,
    nameOf(issuer),
    sequence(timeIn(from), timeIn(until)),
    nameOf(wanted.name),
    pair.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensionsOf(wanted)),
  );
  const certificate = sequence(body, SIGNED_BY, bits(sign('sha256', body, signer)));
  return {
    certificate: pem('CERTIFICATE', certificate),
    key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** Makes an authority that nobody knows yet. */
export function makeAuthority(name: string): Authority {
  const pair = newPair();
  const { certificate } = write({ name }, pair, name, pair.privateKey);
  return { certificate, certify: (wanted) => write(wanted, newPair(), name, pair.privateKey) };
}

/** A certificate that only its own key has signed. */
export function certifySelf(wanted: Wanted): Certified {
  const pair = newPair();
  return write(wanted, pair, wanted.name, pair.privateKey);
}
