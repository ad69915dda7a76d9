import { ok, problem, warning, type Check } from '../check.ts';

/** The version that the app is built for, and that Azure runs it with. */
const WANTED = 22;
/** The oldest on which the built app runs. */
const MINIMUM = 20;
/** The end of life of Node's even versions, from its release schedule. */
const END_OF_LIFE: Readonly<Record<number, string>> = {
  20: '2026-04-30',
  22: '2027-04-30',
  24: '2028-04-30',
};

/** Node on this machine. The Function App's own is in its configuration. */
export const nodeVersion: Check = {
  name: 'node',
  group: 'settings',
  looksAt: 'the version of Node that runs this',
  run({ clock }) {
    const major = Number(process.versions.node.split('.')[0]);
    const version = `Node ${process.versions.node}`;
    const remedy = `install Node ${WANTED}`;
    if (major < MINIMUM)
      return Promise.resolve(problem(`${version}: the app needs ${MINIMUM} or later`, remedy));
    const end = END_OF_LIFE[major];
    if (end !== undefined && clock.now() >= new Date(end))
      return Promise.resolve(warning(`${version} has had no security updates since ${end}`, remedy));
    return Promise.resolve(ok(version));
  },
};
