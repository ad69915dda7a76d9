import { z } from 'zod';
import { isActive, nameText, textId } from '../../shared/platform/resources/field-schemas.ts';
import { uuid } from '../../shared/platform/ids/uuid.ts';
import { declareResource, type Resource } from '../../shared/platform/resources/resource.ts';
import { instant } from '../../shared/platform/http/fields.ts';

const common = {
  database: 'billing',
  description: 'Of the fixture alone. It shows what the app’s own do not use yet.',
  permissions: { read: 'config:read', write: 'config:write' },
} as const;

/** With ids that clients choose, and rows that can be deleted. */
const ships = declareResource({
  ...common,
  name: 'ships',
  one: 'ship',
  table: 'ships',
  idColumn: 'ship_id',
  idSchema: textId,
  scope: 'tenant',
  verbs: ['create', 'list', 'read', 'replace', 'delete'],
  body: z.strictObject({ title: nameText }),
  sample: ({ unique }) => ({ ship_id: unique, title: unique }),
});

/** A child with ids that clients choose too. */
const cabins = declareResource({
  ...common,
  name: 'ship-cabins',
  one: 'cabin',
  table: 'ship_cabins',
  idColumn: 'cabin_id',
  idSchema: textId,
  scope: 'tenant',
  parent: { resource: ships, column: 'ship_id', segment: 'cabins' },
  verbs: ['create', 'list', 'read', 'replace', 'delete'],
  body: z.strictObject({ title: nameText, size_m2: z.number().min(0).default(0) }),
  filters: { title: nameText },
  sample: ({ unique }) => ({ cabin_id: unique, title: unique, size_m2: 12.25 }),
});

/** A parent. Only operators see secret rows. */
const voyages = declareResource({
  ...common,
  name: 'voyages',
  one: 'voyage',
  table: 'voyages',
  idColumn: 'voyage_id',
  scope: 'tenant',
  visibleToTenants: 'not t.is_secret',
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  body: z.strictObject({ title: nameText, is_secret: z.boolean().default(false), is_active: isActive }),
  filters: { title: nameText },
  sample: ({ unique }) => ({ title: unique, is_secret: false }),
});

/** A child that is hidden if its parent is. */
const legs = declareResource({
  ...common,
  name: 'voyage-legs',
  one: 'leg',
  table: 'voyage_legs',
  idColumn: 'leg_id',
  scope: 'tenant',
  parent: { resource: voyages, column: 'voyage_id', segment: 'legs' },
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  body: z.strictObject({ harbour: nameText, length_nm: z.number().min(0).default(0), is_active: isActive }),
  filters: { harbour: nameText },
  sample: ({ unique }) => ({ harbour: unique, length_nm: 12.25 }),
});

/** A grandchild with its own time and an id field. Tenants do not see some of its rows. */
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
    author_id: uuid,
    is_internal: z.boolean().default(false),
    noted_at: instant,
  }),
  filters: { author_id: uuid },
  sample: ({ unique }) => ({
    content: unique,
    author_id: '0190a5f0-0000-7000-8000-00000000abcd',
    noted_at: '2026-03-01T12:00:00.500Z',
  }),
});

/** The platform's rows. Tenants see the published ones. */
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

/** A tenant's rows below a row of the platform. */
const berths = declareResource({
  ...common,
  name: 'port-berths',
  one: 'berth',
  table: 'port_berths',
  idColumn: 'berth_id',
  scope: 'tenant',
  parent: { resource: ports, column: 'port_id', segment: 'berths' },
  verbs: ['create', 'list', 'read', 'replace', 'delete'],
  body: z.strictObject({ title: nameText }),
  sample: ({ unique }) => ({ title: unique }),
});

/** Rows that operators write and tenants read. */
const surveys = declareResource({
  ...common,
  name: 'surveys',
  one: 'survey',
  table: 'surveys',
  idColumn: 'survey_id',
  scope: 'tenant',
  versioned: false,
  permissions: { read: 'config:read' },
  verbs: ['list', 'read'],
  operatorVerbs: ['create', 'list', 'read', 'delete'],
  body: z.strictObject({ findings: nameText }),
  sample: ({ unique }) => ({ findings: unique }),
});

/** Resources of kinds that the app itself does not have yet. */
export const fixtureResources: readonly Resource[] = [
  ships,
  cabins,
  voyages,
  legs,
  notes,
  ports,
  berths,
  surveys,
];

const TIMES = `created_at timestamptz not null, updated_at timestamptz not null, version integer not null default 1`;

/** Their tables, in the billing database. */
export const FIXTURE_TABLES = `
set role comply_owner;
create table ships (
  tenant_id text not null, ship_id text not null, title text not null, ${TIMES}, primary key (tenant_id, ship_id));
create table ship_cabins (
  tenant_id text not null, ship_id text not null, cabin_id text not null, title text not null, size_m2 numeric(10, 3) not null,
  ${TIMES}, primary key (tenant_id, cabin_id), foreign key (tenant_id, ship_id) references ships);
create table voyages (
  tenant_id text not null, voyage_id uuid not null, title text not null, is_secret boolean not null, is_active boolean not null,
  ${TIMES}, primary key (tenant_id, voyage_id));
create table voyage_legs (
  tenant_id text not null, voyage_id uuid not null, leg_id uuid not null, harbour text not null,
  length_nm numeric(10, 3) not null, is_active boolean not null,
  ${TIMES}, primary key (tenant_id, leg_id), foreign key (tenant_id, voyage_id) references voyages);
create table leg_notes (
  tenant_id text not null, leg_id uuid not null, note_id uuid not null, content text not null, author_id uuid not null,
  is_internal boolean not null, noted_at timestamptz not null,
  ${TIMES}, primary key (tenant_id, note_id), foreign key (tenant_id, leg_id) references voyage_legs);
create table ports (
  port_id text primary key, title text not null, is_published boolean not null, is_active boolean not null, ${TIMES});
create table port_berths (
  tenant_id text not null, port_id text not null references ports, berth_id uuid not null, title text not null,
  ${TIMES}, primary key (tenant_id, berth_id));
create table surveys (
  tenant_id text not null, survey_id uuid not null, findings text not null, created_at timestamptz not null,
  primary key (tenant_id, survey_id));
call ops.isolate_tenant('ships');
call ops.isolate_tenant('ship_cabins');
call ops.isolate_tenant('voyages');
call ops.isolate_tenant('voyage_legs');
call ops.isolate_tenant('leg_notes');
call ops.isolate_tenant('port_berths');
call ops.isolate_tenant('surveys');
grant select, insert, update, delete
   on ships, ship_cabins, voyages, voyage_legs, leg_notes, port_berths, surveys to comply_app;
grant select on ports to comply_app;
grant select, insert, update on ports to comply_jobs;
reset role;`;
