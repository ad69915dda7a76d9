import type { ICruiseOptions, IForbiddenRuleType } from 'dependency-cruiser';

const TESTS = '[.]test[.]ts$';

/** Opens the services as the app does, for seeds. */
const COMPOSITION_ROOT = '^functions/services[.]ts$';

/**
 * The layers: functions -> shared/domains -> shared/platform; tools/ for deployments; dev/ for a laptop. Cycles between
 * folders are found apart, see folder-cycles.ts.
 */
const RULES: IForbiddenRuleType[] = [
  {
    name: 'platform-stands-below-domains',
    comment: 'shared/platform is what every domain stands on: it knows none of them.',
    severity: 'error',
    from: { path: '^shared/platform/', pathNot: TESTS },
    to: { path: '^shared/domains/' },
  },
  {
    name: 'shared-stands-alone',
    comment: 'shared/ is called by functions/, tools/ and tests; it calls none of them.',
    severity: 'error',
    from: { path: '^shared/', pathNot: TESTS },
    to: { path: '^(functions|tools|dev|tests|bench)/' },
  },
  {
    name: 'functions-are-the-app',
    comment: 'functions/ registers and calls shared/.',
    severity: 'error',
    from: { path: '^functions/', pathNot: TESTS },
    to: { path: '^(tools|dev|tests|bench)/' },
  },
  {
    name: 'tools-run-in-a-deployment',
    comment: 'A deployment runs tools/ without dev/, tests/ and bench/.',
    severity: 'error',
    from: { path: '^tools/', pathNot: TESTS },
    to: { path: '^(dev|tests|bench|functions)/', pathNot: COMPOSITION_ROOT },
  },
  {
    name: 'dev-knows-no-test',
    comment: 'Tests and benches use dev/, not the other way.',
    severity: 'error',
    from: { path: '^dev/', pathNot: TESTS },
    to: { path: '^(tests|bench|functions)/', pathNot: COMPOSITION_ROOT },
  },
  {
    name: 'no-dev-dependency-in-a-deployment',
    comment: 'A deployment installs with `npm ci --omit=dev`: what it runs must be in "dependencies".',
    severity: 'error',
    from: { path: '^(functions|shared|tools)/', pathNot: TESTS },
    to: { dependencyTypes: ['npm-dev'] },
  },
  {
    name: 'no-package-without-a-version',
    comment: 'A package that package.json does not name has a version only by accident.',
    severity: 'error',
    from: {},
    to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'], pathNot: '^@azure/functions-core$' },
  },
  {
    name: 'every-import-leads-somewhere',
    comment:
      'Nothing can be said about an import that is not found. The two exceptions are given by a host or optional.',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true, pathNot: '^(@azure/functions-core|redis-memory-server/.*)$' },
  },
  {
    name: 'no-cycle-of-files',
    comment: 'Files that import each other can only be understood together.',
    severity: 'error',
    from: {},
    to: { circular: true },
  },
];

/** How dependency-cruiser reads the repository, and the rules that it holds. */
export const CRUISE_OPTIONS: ICruiseOptions = {
  validate: true,
  ruleSet: { forbidden: RULES },
  // Imports of types count as well: they tie two files together just as much.
  tsPreCompilationDeps: true,
  tsConfig: { fileName: 'tsconfig.json' },
  doNotFollow: { path: 'node_modules' },
  enhancedResolveOptions: {
    exportsFields: ['exports'],
    conditionNames: ['import', 'node', 'default', 'types'],
    mainFields: ['module', 'main', 'types'],
  },
};
