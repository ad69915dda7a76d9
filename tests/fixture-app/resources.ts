import { z } from 'zod';
import { isActive, nameText, rowId, textId } from '../../shared/platform/resources/field-schemas.ts';
import { declareResource, type Resource } from '../../shared/platform/resources/resource.ts';
import { instant } from '../../shared/platform/http/fields.ts';

const common = {
  database: 'billing',
  permissions: { read: 'config:read', write: 'config:write' },
} as const;

/** A parent; what is secret is the operators' alone. */
const voyages = declareResource({
  ...common,
  name: 'voyages',
  one: 'voyage',
  table: 'voyages',
  idColumn: 'voyage_id',
  scope: 'tenant',
  visibleToTenants: 'not t.is_secret',
  verbs: ['create', 'list', 'read', 'replace', 'delete'],
  body: z.strictObject({ title: nameText, is_secret: z.boolean().default(false) }),
  filters: { title: nameText },
  sample: ({ unique }) => ({ title: unique, is_secret: false }),
});

/** A child with ids that clients choose, unique below its parent's tenant. */
const legs = declareResource({
  ...common,
  name: 'voyage-legs',
  one: 'leg',
  table: 'voyage_legs',
  idColumn: 'leg_id',
  idSchema: textId,
  scope: 'tenant',
  parent: { resource: voyages, column: 'voyage_id', segment: 'legs' },
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  body: z.strictObject({ harbour: nameText, length_nm: z.number().min(0).default(0), is_active: isActive }),
  filters: { harbour: nameText },
  sample: ({ unique }) => ({ leg_id: unique, harbour: unique, length_nm: 12.25 }),
});

/** A grandchild with a time of its own, an id in it, and notes that no tenant sees. */
const notes = declareResource({
  ...common,
  name: 'leg-notes',
  one: 'note',
  table: 'leg_notes',
  idColumn: 'note_id',
  timeField: 'noted_at',
  scope: 'tenant',
  parent: { resource: legs, column: 'leg_id', segment: 'notes' },
  visibleToTenants: 'not t.is_internal',
  verbs: ['create', 'list', 'read', 'replace', 'delete'],
  body: z.strictObject({
    content: nameText,
    author_id: rowId,
    is_internal: z.boolean().default(false),
    noted_at: instant,
  }),
  filters: { author_id: rowId },
  sample: ({ unique }) => ({
    content: unique,
    author_id: '0190a5f0-0000-7000-8000-00000000abcd',
    noted_at: '2026-03-01T12:00:00.500Z',
  }),
});

/** The platform's, of which tenants see what is published. */
const ports = declareResource({
  ...common,
  name: 'ports',
  one: 'port',
  table: 'ports',
  idColumn: 'port_id',
  idSchema: textId,
  scope: 'platform',
  visibleToTenants: 't.is_published',
  permissions: { read: 'config:read', write: 'platform:operate' },
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  body: z.strictObject({ title: nameText, is_published: z.boolean().default(true), is_active: isActive }),
  sample: ({ unique }) => ({ port_id: unique, title: unique }),
});

/** Resources of the kinds that the app itself has none of yet. */
export const fixtureResources: readonly Resource[] = [voyages, legs, notes, ports];

/** Their tables, in the billing database. */
export const FIXTURE_TABLES = `
set role comply_owner;
create table voyages (
  tenant_id text not null, voyage_id uuid not null, title text not null, is_secret boolean not null,
  created_at timestamptz not null, updated_at timestamptz not null, version integer not null default 1,
  primary key (tenant_id, voyage_id));
create table voyage_legs (
  tenant_id text not null, voyage_id uuid not null, leg_id text not null, harbour text not null,
  length_nm numeric(10, 3) not null, is_active boolean not null,
  created_at timestamptz not null, updated_at timestamptz not null, version integer not null default 1,
  primary key (tenant_id, leg_id), foreign key (tenant_id, voyage_id) references voyages);
create table leg_notes (
  tenant_id text not null, leg_id text not null, note_id uuid not null, content text not null, author_id uuid not null,
  is_internal boolean not null, noted_at timestamptz not null,
  created_at timestamptz not null, updated_at timestamptz not null, version integer not null default 1,
  primary key (tenant_id, note_id), foreign key (tenant_id, leg_id) references voyage_legs);
create table ports (
  port_id text primary key, title text not null, is_published boolean not null, is_active boolean not null,
  created_at timestamptz not null, updated_at timestamptz not null, version integer not null default 1);
call ops.wall('voyages');
call ops.wall('voyage_legs');
call ops.wall('leg_notes');
grant select, insert, update, delete on voyages, voyage_legs, leg_notes to comply_app;
grant select on ports to comply_app;
grant select, insert, update on ports to comply_jobs;
reset role;`;
