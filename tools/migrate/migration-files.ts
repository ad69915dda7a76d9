import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { readLabels, type MigrationLabels } from './migration-labels.ts';

/** A migration file. */
export interface MigrationFile extends MigrationLabels {
  /** The file's name without `.sql`. */
  name: string;
  text: string;
  /** SHA-256 of the text, in hex. It does not depend on a checkout's line ends. */
  sha256: string;
}

const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;

/** Reads one migration file. Throws when its labels are wrong. */
export function readMigrationFile(file: string): MigrationFile {
  const text = readFileSync(file, 'utf8').replaceAll('\r\n', '\n');
  const name = path.basename(file, '.sql');
  const sha256 = createHash('sha256').update(text).digest('hex');
  return { name, text, sha256, ...readLabels(name, text) };
}

/**
 * Reads a folder of migrations in order. Throws unless they are named `NNNN_words.sql` and numbered 1, 2, 3 …: a merge of two
 * branches can leave a gap or a number twice.
 */
export function readMigrationFolder(folder: string): MigrationFile[] {
  const names = readdirSync(folder).sort();
  return names.map((fileName, index) => {
    const number = FILE_NAME.exec(fileName)?.[1];
    if (number === undefined) {
      throw new Error(`${path.join(folder, fileName)}: a migration is named NNNN_what_it_does.sql`);
    }
    if (Number(number) !== index + 1) {
      throw new Error(`${path.join(folder, fileName)}: expected number ${index + 1} here`);
    }
    return readMigrationFile(path.join(folder, fileName));
  });
}
