import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { findLicenceFaults } from './licences.ts';
import { readLockFile, type LockedPackage } from './lock-file.ts';

const packages = readLockFile(path.join(import.meta.dirname, '../..'));

const one = (license: string | undefined, deployed = true): LockedPackage => ({
  place: 'node_modules/one',
  name: 'one',
  version: '1.0.0',
  license,
  deployed,
  optional: false,
  installed: true,
});

/** What is wrong with one more package. */
const faultsWith = (added: LockedPackage): string[] => findLicenceFaults([...packages, added]);

test('all packages of the lock file have a licence that we may use', () => {
  expect(packages.length).toBeGreaterThan(500);
  expect(findLicenceFaults(packages)).toEqual([]);
});

describe('a package is accepted with', () => {
  test.each(['MIT', 'Apache-2.0', '(MIT OR GPL-3.0-only)', '(MIT AND ISC)', 'BSD-3-Clause OR AFL-2.1'])(
    '%s',
    (license) => {
      expect(faultsWith(one(license))).toEqual([]);
    },
  );

  test('a licence with duties for who changes it, if it is only for development', () => {
    expect(faultsWith(one('MPL-2.0', false))).toEqual([]);
    expect(faultsWith(one('MPL-2.0'))).toEqual(['one@1.0.0 (deployed): MPL-2.0']);
  });
});

describe('and refused with', () => {
  test.each([
    'GPL-3.0-only',
    'AGPL-3.0-only',
    'LGPL-2.1-only',
    'MIT AND GPL-2.0-only',
    'SSPL-1.0',
    'BUSL-1.1',
    'UNLICENSED',
    'SEE LICENSE IN x',
    'constructor',
    '',
  ])('%s', (license) => {
    expect(faultsWith(one(license))).toEqual([`one@1.0.0 (deployed): ${license}`]);
    expect(faultsWith(one(license, false))).toEqual([`one@1.0.0 (development): ${license}`]);
  });

  test('none', () => {
    expect(faultsWith(one(undefined))).toEqual(['one@1.0.0 (deployed): names no licence']);
  });
});

test('a decision about one version is not one about the next', () => {
  const decided = packages.find(({ name }) => name === 'uri-templates');
  if (decided === undefined) throw new Error('uri-templates is gone: take another package that was decided');
  const others = packages.filter((given) => given !== decided);
  expect(findLicenceFaults([...others, { ...decided, version: '99.0.0' }])).toEqual([
    expect.stringContaining('uri-templates@99.0.0'),
    expect.stringContaining('remove the entry'),
  ]);
});
