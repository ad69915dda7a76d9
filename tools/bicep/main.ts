import { cp } from 'node:fs/promises';
import path from 'node:path';
import { BICEP_CACHE } from './bicep-compiler.ts';
import { compileTemplates } from './compile-templates.ts';

/** `npm run bicep`: compiles and lints the templates and all parameter files. Any warning is a failure. */
async function main(): Promise<void> {
  const compiled = await compileTemplates();
  if (compiled.diagnostics.length > 0) {
    process.stderr.write(`${compiled.diagnostics.join('\n')}\n`);
    process.exitCode = 1;
    return;
  }
  const names = ['main.json', ...[...compiled.environments.keys()].map((name) => `${name}.parameters.json`)];
  for (const name of names) await cp(path.join(compiled.folder, name), path.join(BICEP_CACHE, name));
  process.stdout.write(`compiled without a warning: ${names.join(', ')} in .local/bicep/\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
