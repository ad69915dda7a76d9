import type { DatabaseName } from '../../migrate/databases.ts';
import { orOk, problem, type Check, type Finding } from '../check.ts';
import type { Patient, Role } from '../patient.ts';

/** The role of each setting, for which the policies and grants of the migrations are. */
const ROLES = { app: 'comply_app', crossTenant: 'comply_jobs' } as const satisfies Partial<
  Record<Role, string>
>;

interface RoleFacts {
  readonly role: string;
  readonly is_superuser: boolean;
  readonly bypasses: boolean;
  readonly makes_roles: boolean;
  readonly makes_databases: boolean;
  readonly replicates: boolean;
  readonly owns: string | null;
  readonly member_of: string | null;
}

const FACTS = `
  select r.rolname as role, r.rolsuper as is_superuser, r.rolbypassrls as bypasses, r.rolcreaterole as makes_roles,
    r.rolcreatedb as makes_databases, r.rolreplication as replicates,
    (select string_agg(distinct d.classid::regclass::text || ' ' || pg_describe_object(d.classid, d.objid, 0), ', ')
       from pg_shdepend d where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o'
        and d.dbid in (0, (select oid from pg_database where datname = current_database()))) as owns,
    (select string_agg(pg_get_userbyid(m.roleid), ', ') from pg_auth_members m where m.member = r.oid) as member_of
  from pg_roles r where r.rolname = current_user`;

function faultsOf(facts: RoleFacts, expected: string, setting: string): Finding[] {
  const { role } = facts;
  const faults: Finding[] = [];
  if (role !== expected)
    faults.push(
      problem(
        `${setting} connects as ${role} instead of ${expected}`,
        `correct the user in ${setting}: policies and grants are for ${expected}`,
      ),
    );
  for (const [has, right, remedy] of [
    [facts.is_superuser, 'is a superuser: no row security binds it', 'nosuperuser'],
    [facts.bypasses, 'has BYPASSRLS: it sees every tenant', 'nobypassrls'],
    [facts.makes_roles, 'may make roles', 'nocreaterole'],
    [facts.makes_databases, 'may make databases', 'nocreatedb'],
    [facts.replicates, 'may read everything by replication', 'noreplication'],
  ] as const)
    if (has) faults.push(problem(`${role} ${right}`, `alter role ${role} ${remedy}`));
  if (facts.owns !== null)
    faults.push(
      problem(
        `${role} owns ${facts.owns}: an owner can turn row security off`,
        `reassign owned by ${role} to comply_owner`,
      ),
    );
  if (facts.member_of !== null)
    faults.push(
      problem(`${role} is a member of ${facts.member_of}`, `revoke ${facts.member_of} from ${role}`),
    );
  return faults;
}

async function examineRole(
  patient: Patient,
  database: DatabaseName,
  role: keyof typeof ROLES,
): Promise<Finding[]> {
  const facts = await patient.askReachable(database, role, async (client) => {
    const { rows } = await client.query<RoleFacts>(FACTS);
    return rows[0];
  });
  const setting = `${database.toUpperCase()}${role === 'app' ? '' : '_CROSS_TENANT'}_DATABASE_URL`;
  return facts === undefined ? [] : faultsOf(facts, ROLES[role], setting);
}

/** Whether the app connects as roles that cannot pass row security. */
export const roles = (database: DatabaseName): Check => ({
  name: `${database}-roles`,
  group: 'databases',
  looksAt: `the rights of the roles that the app uses in the ${database} database`,
  async run(patient) {
    const findings = [
      ...(await examineRole(patient, database, 'app')),
      ...(await examineRole(patient, database, 'crossTenant')),
    ];
    return orOk(findings, 'comply_app and comply_jobs own nothing and cannot pass row security');
  },
});
