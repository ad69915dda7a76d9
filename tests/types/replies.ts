// Code that must not compile. `npm run types` checks this file, and nothing runs it. If a line below a `@ts-expect-error` compiles,
// the comment is reported. Lines without the comment must compile, so that the others fail for the stated reason.
import { z } from 'zod';
import { listMappings } from '../../shared/domains/mapping/read-mappings.ts';
import { recordMapping } from '../../shared/domains/mapping/record-mapping.ts';
import { respondToMapping } from '../../shared/domains/mapping/respond.ts';
import {
  mapping,
  mappingsQuery,
  newMapping,
  type MapperResponse,
} from '../../shared/domains/mapping/schemas.ts';
import type { Call } from '../../shared/platform/call/call.ts';
import {
  accepted,
  created,
  noContent,
  notModified,
  ok,
  okText,
  type Reply,
} from '../../shared/platform/call/reply.ts';
import { endpoint, publicEndpoint } from '../../shared/platform/http/endpoint.ts';
import { requestIdParams } from '../../shared/platform/http/fields.ts';
import { listReply } from '../../shared/platform/http/list-reply.ts';
import { pageOf, pageQuery, type Page } from '../../shared/platform/http/pagination.ts';
import type { CompletionKind, CompletionRow } from '../../shared/platform/writes/complete-once.ts';
import { singleReply, type HotWrite, type Item } from '../../shared/platform/writes/hot-write.ts';
import { performWrite } from '../../shared/platform/writes/perform-write.ts';
import { writeItems } from '../../shared/platform/writes/write-items.ts';

const thing = z.object({
  id: z.string(),
  size: z.number(),
  kind: z.enum(['large', 'small']).default('small'),
  note: z.string().optional(),
});
type Thing = z.output<typeof thing>;
const job = z.object({ job: z.string() });
type Job = z.output<typeof job>;
const it = { id: '1', size: 1, kind: 'small' } as const;

const common = { name: 'x', method: 'POST', path: 'v1/x', tag: 'x', summary: 'X' } as const;
const permission = 'config:read';
const one = { 200: { description: 'One.', schema: thing } } as const;
const made = { 201: { description: 'Made.', schema: thing } } as const;
const none = { 204: { description: 'None.' } } as const;
const page = { 200: { description: 'A page.', schema: pageOf(thing) } } as const;
const html = { 200: { description: 'A page to read.', contentType: 'text/html' } } as const;
const either = { ...one, 202: { description: 'Later.', schema: job } } as const;

const reading = { ...common, permission, responses: one } as const;
const later = <T>(value: T): Promise<T> => Promise.resolve(value);

// A body
endpoint({ ...reading, run: (_call) => later(ok(it)) });
endpoint({ ...reading, run: (_call) => later(ok({ id: '1', size: 1, kind: 'large', note: 'n' })) });
// @ts-expect-error another body
endpoint({ ...reading, run: () => later(ok({ nonsense: 1 })) });
// @ts-expect-error a field that the schema does not have
endpoint({ ...reading, run: (_call) => later(ok({ id: '1', size: 1, kind: 'small', extra: 1 })) });
// @ts-expect-error a field by another name
endpoint({ ...reading, run: (_call) => later(ok({ id: '1', siez: 1, kind: 'small' })) });
// @ts-expect-error a field is missing
endpoint({ ...reading, run: (_call) => later(ok({ id: '1', kind: 'small' })) });
// @ts-expect-error a field with a default is missing: nothing parses an answer, so nothing fills it in
endpoint({ ...reading, run: (_call) => later(ok({ id: '1', size: 1 })) });
// @ts-expect-error a field of another type
endpoint({ ...reading, run: (_call) => later(ok({ id: '1', size: '1', kind: 'small' })) });
// @ts-expect-error a value that the schema does not have
endpoint({ ...reading, run: (_call) => later(ok({ id: '1', size: 1, kind: 'medium' })) });
// @ts-expect-error null where the schema has none
endpoint({ ...reading, run: (_call) => later(ok({ id: '1', size: 1, kind: 'small', note: null })) });
// @ts-expect-error a body is missing
endpoint({ ...reading, run: (_call) => later({ status: 200 }) });
// @ts-expect-error an unchecked body
endpoint({ ...reading, run: (_call, { url }) => later(ok<unknown>(JSON.parse(url))) });

// A status
endpoint({ ...common, permission, responses: made, run: (_call) => later(created('/x', it)) });
endpoint({ ...common, permission, responses: none, run: () => later(noContent) });
endpoint({ ...common, permission, responses: either, run: (_call) => later(ok<Thing>(it)) });
endpoint({ ...common, permission, responses: either, run: () => later(accepted<Job>({ job: '1' })) });
// @ts-expect-error a status that is not documented
endpoint({ ...reading, run: (_call) => later(created('/x', it)) });
// @ts-expect-error a status that is not documented, of two
endpoint({ ...reading, run: (_call, { url }) => later(url === '' ? noContent : ok<Thing>(it)) });
// @ts-expect-error a status that is any number
endpoint({ ...reading, run: (_call, { url }) => later({ status: url.length, body: it }) });
// @ts-expect-error the body of another status
endpoint({ ...common, permission, responses: either, run: () => later(accepted<Thing>(it)) });
// @ts-expect-error a body where none is documented
endpoint({ ...common, permission, responses: none, run: (_call) => later({ status: 204, body: it }) });
// @ts-expect-error nothing is documented
endpoint({ ...common, permission, responses: {}, run: (_call) => later(ok(it)) });

// 304 needs no declaration.
endpoint({ ...reading, run: (_call) => later(notModified({ etag: '"1"' })) });

// Another media type
endpoint({ ...common, permission, responses: html, run: () => later(okText('text/html', '<p>')) });
// @ts-expect-error JSON where another media type is documented
endpoint({ ...common, permission, responses: html, run: () => later(ok<Thing>(it)) });
const text = { status: 200, body: { text: '<p>' } } as const;
// @ts-expect-error an object is not a text
endpoint({ ...common, permission, responses: html, run: () => later(text) });
// @ts-expect-error another media type where JSON is documented
endpoint({ ...reading, run: () => later(okText('text/html', '<p>')) });

// A public route has the same rules.
publicEndpoint({ ...common, responses: one, run: (_input) => later(ok(it)) });
// @ts-expect-error a field that the schema does not have
publicEndpoint({ ...common, responses: one, run: (_input) => later(ok({ ...it, extra: 1 })) });
// @ts-expect-error a status that is not documented
publicEndpoint({ ...common, responses: one, run: () => later(noContent) });

// How a body is taken
const note = z.object({ note: z.string() });
endpoint({ ...reading, body: note, run: (_call, { body }) => later(ok({ ...it, note: body.note })) });
endpoint({ ...reading, rawBody: true, run: (_call, { body }) => later(ok({ ...it, size: body.length })) });
publicEndpoint({
  ...common,
  responses: one,
  rawBody: true,
  run: ({ body }) => later(ok({ ...it, size: body.length })),
});
// @ts-expect-error bytes beside a schema
endpoint({ ...reading, body: note, rawBody: true, run: (_call) => later(ok(it)) });
// @ts-expect-error bytes beside a schema
publicEndpoint({ ...common, responses: one, body: note, rawBody: true, run: (_input) => later(ok(it)) });
// @ts-expect-error a media type of bytes without bytes
endpoint({ ...reading, rawBodyType: 'application/json', run: (_call) => later(ok(it)) });
// @ts-expect-error the route takes no body
endpoint({ ...reading, run: (_call, { body }) => later(ok({ ...it, note: body.note })) });

// A write in a transaction
declare const call: Call;
const audit = { action: 'thing.made', resource_type: 'thing' };
export const written = (): Promise<Reply<201, Thing>> =>
  performWrite(call, () => later({ reply: created('/x', it), audit }));
export const writtenWrong = (): Promise<Reply<201, Thing>> =>
  // @ts-expect-error a field that the schema does not have
  performWrite(call, (_transaction) => later({ reply: created('/x', { ...it, extra: 1 }), audit }));
export const storedWrong = (): Promise<Reply<201, Thing>> =>
  // @ts-expect-error the answer to a repeated key has another body
  performWrite(call, () => later({ reply: created('/x', it), storedReply: created('/x', {}), audit }));

// A hot write
declare const hotWrite: HotWrite;
declare const item: Item<Reply<201, Thing>>;
export const hot = async (): Promise<Reply<201, Thing>> =>
  singleReply(await writeItems(call, hotWrite, [item]));
export const hotWrong = async (): Promise<Reply<200, Thing>> =>
  // @ts-expect-error the items' answers have another status
  singleReply(await writeItems(call, hotWrite, [item]));

// A completion
interface Row extends CompletionRow {
  readonly id: string;
}
type Completion = CompletionKind<Row, Reply<200, Thing>>;
export const completion: Pick<Completion, 'answer'> = { answer: ({ id }) => ok({ ...it, id }) };
export const completionWrong: Pick<Completion, 'answer'> = {
  // @ts-expect-error a field that the schema does not have
  answer: ({ id }) => ok({ ...it, id, extra: 1 }),
};

// A list
declare const list: Parameters<typeof listReply>[3];
const listing = { ...common, permission, query: z.object(pageQuery), responses: page } as const;
endpoint({ ...listing, run: (_call, { query, url }) => listReply(call, query, url, list) });
export const listed = (): Promise<Reply<200, Page<Thing>>> =>
  listReply(call, { limit: 1, sort: '' }, '', list);
// @ts-expect-error a page of other items
endpoint({ ...listing, run: (_call, { query, url }) => listReply<{ id: string }>(call, query, url, list) });

// A domain function with the schema of another answer
const onMapping = { ...common, permission, params: requestIdParams } as const;
const query = mappingsQuery;
const mappings = { 200: { description: 'A page.', schema: pageOf(mapping) } } as const;
endpoint({ ...listing, query, responses: mappings, run: (c, i) => listMappings(c, i.query, i.url) });
// @ts-expect-error things are not mappings
endpoint({ ...listing, query, run: (c, i) => listMappings(c, i.query, i.url) });
// @ts-expect-error a thing is not a mapping
endpoint({ ...onMapping, responses: made, body: newMapping, run: (c, { body }) => recordMapping(c, body) });
declare const response: MapperResponse;
// @ts-expect-error a thing is not a completed mapping
endpoint({ ...onMapping, responses: one, run: (c, i) => respondToMapping(c, i.params.request_id, response) });

// Without a declared return type a body has no type, and no endpoint takes it.
const unsaid = ok(it);
// @ts-expect-error name it: ok<Thing>(…)
endpoint({ ...reading, run: () => later(unsaid) });
