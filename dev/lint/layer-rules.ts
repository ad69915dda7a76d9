import type { ICruiseOptions, IForbiddenRuleType } from 'dependency-cruiser';

const TESTS = '[.]test[.]ts$';

/** Seeds use it to open the same services as the app. */
const COMPOSITION_ROOT = '^functions/services[.]ts$';

/** The app's jobs with their schedules, which the doctor compares with their runs. */
const TIMERS = '^functions/timers[.]ts$';

/**
 * The layers: functions -> shared/domains -> shared/platform; tools/ for deployments; dev/ for a laptop. Another check finds
 * cycles between folders, see folder-cycles.ts.
 */
const RULES: IForbiddenRuleType[] = [
  {
    name: 'platform-imports-no-domain',
    comment: 'Every domain uses shared/platform; it uses none of them.',
    severity: 'error',
    from: { path: '^shared/platform/', pathNot: TESTS },
    to: { path: '^shared/domains/' },
  },
  {
    name: 'shared-imports-no-caller',
    comment: 'functions/, tools/ and tests call shared/; it calls none of them.',
    severity: 'error',
    from: { path: '^shared/', pathNot: TESTS },
    to: { path: '^(functions|tools|dev|tests|bench)/' },
  },
  {
    name: 'functions-import-only-shared',
    comment: 'functions/ registers functions and calls shared/.',
    severity: 'error',
    from: { path: '^functions/', pathNot: TESTS },
    to: { path: '^(tools|dev|tests|bench)/' },
  },
  {
    name: 'tools-import-only-what-is-deployed',
    comment: 'A deployment has tools/ but not dev/, tests/ and bench/.',
    severity: 'error',
    from: { path: '^tools/', pathNot: TESTS },
    to: { path: '^(dev|tests|bench|functions)/', pathNot: [COMPOSITION_ROOT, TIMERS] },
  },
  {
    name: 'dev-imports-no-test',
    comment: 'Tests and benchmarks use dev/; it uses none of them.',
    severity: 'error',
    from: { path: '^dev/', pathNot: TESTS },
    to: { path: '^(tests|bench|functions)/', pathNot: COMPOSITION_ROOT },
  },
  {
    name: 'only-services-open-pools',
    comment:
      'A pool knows no tenant: domains take handles that are bound to one, or that cross them by name. functions/services.ts opens them.',
    severity: 'error',
    from: {
      path: '^(functions|shared|tools|dev)/',
      pathNot: [TESTS, COMPOSITION_ROOT, '^shared/platform/db/', '^shared/platform/jobs/job-lock[.]ts$'],
    },
    to: { path: '^shared/platform/db/(databases|pool|guarded-pool|health-monitor|transaction)[.]ts$' },
  },
  {
    name: 'functions-import-no-database',
    comment: 'functions/ calls domains, which take what the call is bound to.',
    severity: 'error',
    from: { path: '^functions/', pathNot: [TESTS, COMPOSITION_ROOT] },
    to: { path: '^shared/platform/db/' },
  },
  {
    name: 'only-register-uses-azure-functions',
    comment: 'functions/register.ts alone uses the library’s values; its types say what a request is.',
    severity: 'error',
    from: { path: '^(functions|shared|tools)/', pathNot: [TESTS, '^functions/register[.]ts$'] },
    to: { path: '(^|/)node_modules/@azure/functions/', dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'no-dev-dependency-in-a-deployment',
    comment:
      'A deployment installs with `npm ci --omit=dev`, so everything that it runs must be in "dependencies".',
    severity: 'error',
    from: { path: '^(functions|shared|tools)/', pathNot: TESTS },
    to: { dependencyTypes: ['npm-dev'] },
  },
  {
    name: 'no-undeclared-package',
    comment: 'A package that is not in package.json has no fixed version.',
    severity: 'error',
    from: {},
    to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'], pathNot: '^@azure/functions-core$' },
  },
  {
    name: 'no-unresolved-import',
    comment:
      'An import that is not found cannot be checked. There are two exceptions: the host provides one, the other is optional.',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true, pathNot: '^(@azure/functions-core|redis-memory-server/.*)$' },
  },
  {
    name: 'no-file-cycle',
    comment: 'Files that import each other can only be understood together.',
    severity: 'error',
    from: {},
    to: { circular: true },
  },
];

/** How dependency-cruiser reads the repository, and the rules that it checks. */
export const CRUISE_OPTIONS: ICruiseOptions = {
  validate: true,
  ruleSet: { forbidden: RULES },
  // Imports of types count too: they make two files depend on each other as well.
  tsPreCompilationDeps: true,
  tsConfig: { fileName: 'tsconfig.json' },
  doNotFollow: { path: 'node_modules' },
  enhancedResolveOptions: {
    exportsFields: ['exports'],
    conditionNames: ['import', 'node', 'default', 'types'],
    mainFields: ['module', 'main', 'types'],
  },
};
