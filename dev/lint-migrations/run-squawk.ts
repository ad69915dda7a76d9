import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { z } from 'zod';
import { POSTGRES_MINIMUM } from '../../shared/platform/db/server-version.ts';
import type { MigrationFile } from '../../tools/migrate/migration-files.ts';
import type { Finding } from './rules.ts';

/** What the migrator does. */
const HELD_BY_MIGRATOR = ['require-lock-timeout', 'require-statement-timeout'];
const TASTE = ['prefer-bigint-over-int', 'prefer-bigint-over-smallint'];
/** A file in a transaction is applied or not: it need not be safe to repeat. */
const ONLY_OUTSIDE_TRANSACTION = ['prefer-robust-stmts'];
/** What a contract migration is for. */
const CONTRACT = ['ban-drop-column', 'ban-drop-table', 'disallowed-unique-constraint'];

const report = z.array(
  z.object({
    line: z.int(),
    level: z.string(),
    message: z.string(),
    help: z.string().nullish(),
    rule_name: z.string(),
  }),
);

/** Checks a file with squawk. Throws when squawk does not run on this machine. */
export function runSquawk(file: MigrationFile): Finding[] {
  const excluded = [
    ...HELD_BY_MIGRATOR,
    ...TASTE,
    ...(file.outsideTransaction ? [] : ONLY_OUTSIDE_TRANSACTION),
    ...(file.phase === 'contract' ? CONTRACT : []),
  ];
  const bin = path.join(
    path.dirname(createRequire(import.meta.url).resolve('squawk-cli/package.json')),
    'js/bin/squawk',
  );
  const { stdout, stderr, status, error } = spawnSync(
    process.execPath,
    [
      bin,
      '--reporter=json',
      `--pg-version=${POSTGRES_MINIMUM}`,
      `--exclude=${excluded.join()}`,
      ...(file.outsideTransaction ? [] : ['--assume-in-transaction']),
      `--stdin-filepath=${file.name}.sql`,
    ],
    { input: file.text, encoding: 'utf8' },
  );
  if (error !== undefined || status === null || !stdout.startsWith('['))
    throw new Error(`squawk-cli does not run: ${error?.message ?? stderr}`);
  return report.parse(JSON.parse(stdout)).map(({ line, rule_name: rule, message, help }) => ({
    line: line + 1,
    rule,
    message: help == null ? message : `${message} ${help}`,
  }));
}
