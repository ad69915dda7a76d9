import { badRequest } from '../broker-error.ts';

/** Descriptors of an AMQP message's sections, in their order on the wire. */
export const SECTION = {
  header: 0x70,
  deliveryAnnotations: 0x71,
  messageAnnotations: 0x72,
  properties: 0x73,
  applicationProperties: 0x74,
  data: 0x75,
  sequence: 0x76,
  value: 0x77,
  footer: 0x78,
} as const;

/** Offsets of one section of an encoded message: its first byte, its value's first byte, and the byte after its last. */
export interface Section {
  readonly code: number;
  readonly start: number;
  readonly value: number;
  readonly end: number;
}

const DESCRIBED = 0x00;
const SMALL_ULONG = 0x53;
const ULONG = 0x80;

/** The offset after the value that begins at `offset`. The high half of an AMQP type code tells how long a value is. */
function skipValue(bytes: Buffer, offset: number): number {
  const code = bytes.readUInt8(offset);
  const body = offset + 1;
  if (code === DESCRIBED) return skipValue(bytes, skipValue(bytes, body));
  switch (code >> 4) {
    case 0x4:
      return body;
    case 0x5:
      return body + 1;
    case 0x6:
      return body + 2;
    case 0x7:
      return body + 4;
    case 0x8:
      return body + 8;
    case 0x9:
      return body + 16;
    case 0xa:
    case 0xc:
    case 0xe:
      return body + 1 + bytes.readUInt8(body);
    case 0xb:
    case 0xd:
    case 0xf:
      return body + 4 + bytes.readUInt32BE(body);
    default:
      throw badRequest(`0x${code.toString(16)} is not an AMQP type.`);
  }
}

function sectionCode(bytes: Buffer, offset: number): number {
  const code = bytes.readUInt8(offset);
  if (code === SMALL_ULONG) return bytes.readUInt8(offset + 1);
  if (code === ULONG) return Number(bytes.readBigUInt64BE(offset + 1));
  throw badRequest('A section of the message has no numeric descriptor.');
}

/** The sections of an encoded message. Throws a BrokerError or a RangeError if the bytes are not a message. */
export function listSections(bytes: Buffer): Section[] {
  const sections: Section[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (bytes.readUInt8(offset) !== DESCRIBED)
      throw badRequest('A section of the message has no descriptor.');
    const value = skipValue(bytes, offset + 1);
    const end = skipValue(bytes, value);
    if (end > bytes.length) throw badRequest('The message is cut off.');
    sections.push({ code: sectionCode(bytes, offset + 1), start: offset, value, end });
    offset = end;
  }
  return sections;
}

/** The offset of the `index`-th item of the list that begins at `offset`; null when the list is shorter. */
export function listItem(bytes: Buffer, offset: number, index: number): number | null {
  const code = bytes.readUInt8(offset);
  if (code === 0x45) return null;
  const wide = code === 0xd0;
  if (!wide && code !== 0xc0) throw badRequest('A section of the message should be a list.');
  const count = wide ? bytes.readUInt32BE(offset + 5) : bytes.readUInt8(offset + 2);
  if (index >= count) return null;
  let item = offset + (wide ? 9 : 3);
  for (let passed = 0; passed < index; passed += 1) item = skipValue(bytes, item);
  return item;
}
