import { expect, test } from 'vitest';
import { checkFile } from '../../../dev/lint-migrations/rules.ts';
import { runSquawk } from '../../../dev/lint-migrations/run-squawk.ts';
import { VERSION } from '../../../shared/platform/config/version.ts';
import { DATABASES } from '../../../tools/migrate/databases.ts';
import { readLabels } from '../../../tools/migrate/migration-labels.ts';
import { listSamples } from './sample-migrations.ts';

test('the sample migrations obey the rules of new migrations, and are of every phase', () => {
  const files = DATABASES.flatMap((database) =>
    listSamples(database).map(({ name, text }) => ({ name, text, sha256: '', ...readLabels(name, text) })),
  );
  expect(files.flatMap((file) => [...checkFile(file, VERSION), ...runSquawk(file)])).toEqual([]);
  expect(new Set(files.map(({ phase }) => phase))).toEqual(new Set(['expand', 'migrate', 'contract']));
});
