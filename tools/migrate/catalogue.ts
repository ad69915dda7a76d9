import type { Client } from 'pg';
import { OWNER_ROLE } from './databases.ts';
import type { TableKind } from './tables.ts';

// The rules of tenant isolation. They read the catalogue, and so the real state of the database.

/** Each query returns one row (fault) for each violation of a rule. $1 is the list of platform tables. */
const RULES = {
  'has row security enabled and forced': `
    select t.name || case when not t.relrowsecurity then ' has no row security' else ' does not force row security' end as fault
    from tenant_tables t where not (t.relrowsecurity and t.relforcerowsecurity)`,

  // Tables in ops have other keys, but the same tenant isolation if requests can reach them.
  'has row security on tables in ops that requests reach': `
    select c.oid::regclass::text || ' holds tenant rows that requests reach without forced row security' as fault
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    where c.relnamespace = to_regnamespace('ops') and c.relkind in ('r', 'p') and not c.relispartition
      and not (c.relrowsecurity and c.relforcerowsecurity)
      and exists (select from aclexplode(c.relacl) acl
                  where acl.grantee in (0, (select oid from pg_roles where rolname = 'comply_app')))`,

  // It must apply to requests, for reading and for writing.
  'has one policy for everything, on the tenant of the transaction': `
    select t.name || ' has no policy FOR ALL with USING and WITH CHECK on app.current_tenant_id' as fault
    from tenant_tables t where not exists (
      select from request_policies p where p.polrelid = t.oid and p.polcmd = '*'
        and p.checks_tenant and p.uses_tenant)`,

  // PostgreSQL combines policies with OR: a policy that is too wide would defeat the others.
  'has no policy that lets requests past the tenant': `
    select t.name || ' has policy ' || p.polname || ', which does not hold requests to their tenant' as fault
    from tenant_tables t join request_policies p on p.polrelid = t.oid
    where p.polpermissive and not case p.polcmd
      when 'r' then p.uses_tenant or p.uses_platform
      when 'a' then p.checks_tenant
      when 'd' then p.uses_tenant
      else p.uses_tenant and p.checks_tenant end`,

  'has tenant_id text not null': `
    select t.name || '.tenant_id is not "text not null"' as fault
    from tenant_tables t join pg_attribute a on a.attrelid = t.oid and a.attname = 'tenant_id'
    where a.atttypid <> 'text'::regtype or not a.attnotnull`,

  'has tenant_id first in its primary key': `
    select t.name || ' has no primary key that begins with tenant_id' as fault
    from tenant_tables t where not exists (
      select from pg_index i where i.indrelid = t.oid and i.indisprimary and i.indkey[0] = t.tenant_attnum)`,

  'has tenant_id first in every unique key': `
    select t.name || ' has unique key ' || i.indexrelid::regclass::text || ', which does not begin with tenant_id' as fault
    from tenant_tables t join pg_index i on i.indrelid = t.oid and i.indisunique
    where i.indkey[0] <> t.tenant_attnum`,

  // A platform table has no tenant, so a reference to it cannot include one.
  'has tenant_id first in every foreign key to a tenant table': `
    select t.name || ' has foreign key ' || o.conname || ', which does not lead from tenant_id to tenant_id' as fault
    from tenant_tables t join pg_constraint o on o.conrelid = t.oid and o.contype = 'f' and o.conparentid = 0
    join tenant_tables r on r.oid = o.confrelid
    where o.conkey[1] <> t.tenant_attnum or o.confkey[1] <> r.tenant_attnum`,

  'has no foreign key from a platform table to a tenant table': `
    select o.conrelid::regclass::text || ' has foreign key ' || o.conname || ' to a tenant table' as fault
    from pg_constraint o join tenant_tables r on r.oid = o.confrelid
    where o.contype = 'f' and not exists (select from tenant_tables t where t.oid = o.conrelid)
      and not exists (select from pg_class c where c.oid = o.conrelid and c.relispartition)`,

  'is owned only by the owner role': `
    select d.classid::regclass::text || ' ' || pg_describe_object(d.classid, d.objid, d.objsubid)
      || ' is owned by ' || pg_get_userbyid(d.refobjid) as fault
    from pg_shdepend d join pg_roles r on r.oid = d.refobjid
    where d.deptype = 'o' and d.dbid = (select oid from pg_database where datname = current_database())
      and r.rolname like 'comply\\_%' and r.rolname <> '${OWNER_ROLE}'
    union all
    select 'relation ' || c.oid::regclass::text || ' is owned by ' || pg_get_userbyid(c.relowner)
    from pg_class c where c.relnamespace in ('public'::regnamespace, to_regnamespace('ops'), to_regnamespace('people'))
      and c.relkind in ('r', 'p', 'v', 'm', 'S') and pg_get_userbyid(c.relowner) <> '${OWNER_ROLE}'
      and pg_get_userbyid(c.relowner) not like 'comply\\_%'`,

  // The parent's policy does not apply to a query that names a partition directly.
  'grants nothing on a partition': `
    select distinct c.oid::regclass::text || ' is a partition with a grant to '
      || case acl.grantee when 0 then 'PUBLIC' else pg_get_userbyid(acl.grantee) end as fault
    from pg_class c cross join aclexplode(c.relacl) acl
    where c.relispartition and c.relkind in ('r', 'p') and acl.grantee <> c.relowner
    union all
    select c.oid::regclass::text || ' is a partition with a grant on column ' || a.attname
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relispartition and c.relkind in ('r', 'p') and a.attacl is not null`,

  'has no view that reads past row security': `
    select c.oid::regclass::text || ' is a view without security_invoker' as fault
    from pg_class c where c.relnamespace in ('public'::regnamespace, to_regnamespace('ops'), to_regnamespace('people'))
      and (c.relkind = 'm' or (c.relkind = 'v'
        and not coalesce('security_invoker=true' = any (c.reloptions) or 'security_invoker=on' = any (c.reloptions), false)))`,

  'has no role that may pass row security': `
    select 'role ' || rolname || ' may pass row security' as fault
    from pg_roles where rolname like 'comply\\_%' and (rolbypassrls or rolsuper)
    union all
    select 'role ' || rolname || ' inherits what it is granted' from pg_roles
    where rolname in ('comply_app', 'comply_jobs') and rolinherit
    union all
    select 'role ' || pg_get_userbyid(m.member) || ' is a member of ' || pg_get_userbyid(m.roleid)
    from pg_auth_members m where pg_get_userbyid(m.member) in ('comply_app', 'comply_jobs', 'comply_readonly')
    union all
    select 'role ' || pg_get_userbyid(m.member) || ' is a member of ' || pg_get_userbyid(m.roleid)
    from pg_auth_members m where pg_get_userbyid(m.member) like 'comply\\_readonly\\_%'
      and (pg_get_userbyid(m.roleid) <> 'comply_readonly' or m.set_option or m.admin_option)`,

  'lets people only read': `
    select c.oid::regclass::text || ' grants ' || acl.privilege_type || ' to ' || pg_get_userbyid(acl.grantee) as fault
    from pg_class c cross join aclexplode(c.relacl) acl
    where pg_get_userbyid(acl.grantee) like 'comply\\_readonly%'
      and (acl.privilege_type <> 'SELECT' or c.relnamespace is distinct from to_regnamespace('people'))
    union all
    select c.oid::regclass::text || '.' || a.attname || ' grants ' || acl.privilege_type || ' to ' || pg_get_userbyid(acl.grantee)
    from pg_class c join pg_attribute a on a.attrelid = c.oid cross join aclexplode(a.attacl) acl
    where pg_get_userbyid(acl.grantee) like 'comply\\_readonly%' and acl.privilege_type <> 'SELECT'
    union all
    select p.polrelid::regclass::text || ' has policy ' || p.polname || ', with which people may do more than read'
    from policies p where p.polcmd <> 'r'
      and p.polroles && array(select oid from pg_roles where rolname like 'comply\\_readonly%')`,
} as const;

// A tenant table has a tenant_id and is not declared as the platform's. These rules do not see a declared tenant table
// without a tenant_id; checkTables reports it.
const COMMON = `
  with tenant_tables as (
    select c.oid, c.oid::regclass::text as name, c.relrowsecurity, c.relforcerowsecurity, a.attnum as tenant_attnum
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname <> all ($1::text[])
  ), policies as (
    select p.*, coalesce(pg_get_expr(p.polqual, p.polrelid), '') as using_text,
      coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') as check_text
    from pg_policy p
  ), request_policies as (
    select p.*,
      using_text = $2 as uses_tenant, check_text = $2 as checks_tenant,
      using_text = '(tenant_id = ''platform''::text)' as uses_platform
    from policies p
    where p.polroles && array[0::oid, (select oid from pg_roles where rolname = 'comply_app')]
  )`;

const TENANT_CONDITION = `(tenant_id = NULLIF(current_setting('app.current_tenant_id'::text, true), ''::text))`;

interface FoundTable {
  name: string;
  has_tenant: boolean;
}

async function checkTables(client: Client, tables: Record<string, TableKind>): Promise<string[]> {
  const { rows } = await client.query<FoundTable>(
    `select c.relname as name, a.attname is not null as has_tenant
     from pg_class c left join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
     order by c.relname`,
  );
  const found = new Map(rows.map((row) => [row.name, row.has_tenant]));
  const missing = Object.keys(tables).filter((name) => !found.has(name));
  const unknown = [...found.keys()].filter((name) => !(name in tables));
  const tenantless = Object.keys(tables).filter(
    (name) => tables[name] === 'tenant' && found.get(name) === false,
  );
  return [
    ...missing.map((name) => `${name} is declared and not there`),
    ...unknown.map((name) => `${name} is there and not declared`),
    ...tenantless.map((name) => `${name} is a tenant table without tenant_id`),
  ];
}

/**
 * Describes everything in the connected database that violates tenant isolation or differs from the declared tables. Empty
 * when there is nothing.
 */
export async function checkCatalogue(client: Client, tables: Record<string, TableKind>): Promise<string[]> {
  return [...(await checkTables(client, tables)), ...(await checkIsolation(client, tables))];
}

/**
 * Describes everything in the connected database that violates tenant isolation. Every role may read what it reads. Tables
 * that are not in `tables` count as tenants' tables if they have a tenant.
 */
export async function checkIsolation(client: Client, tables: Record<string, TableKind>): Promise<string[]> {
  const platform = Object.keys(tables).filter((name) => tables[name] === 'platform');
  const faults: string[] = [];
  for (const rule of Object.values(RULES)) {
    // PostgreSQL must know the types of both parameters, also when a rule does not use them.
    const { rows } = await client.query<{ fault: string }>(
      `${COMMON}, parameters as (select $1::text[], $2::text) ${rule}`,
      [platform, TENANT_CONDITION],
    );
    faults.push(...rows.map((row) => row.fault));
  }
  return faults;
}
