import { parseArgs } from 'node:util';
import { buildApp } from '../../dev/stack/build-app.ts';
import { runDrill } from './drill.ts';

const USAGE = `usage: npm run restore-drill -- [--without-mend] [--per-second N] [--stage SECONDS]

Backs up a local stack under load, destroys its server, restores the three databases to three moments, reconciles, and compares
everything with what clients were answered. Takes about two minutes. Ends with 1 if anything is wrong.
  --without-mend   skip the mending: shows what a restore leaves behind
  --per-second N   new writes a second (default: 25)
  --stage SECONDS  between two moments (default: 3)
`;
/** Differences that are shown of a round. */
const SHOWN = 40;

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'without-mend': { type: 'boolean', default: false },
      'per-second': { type: 'string', default: '25' },
      stage: { type: 'string', default: '3' },
    },
  });
  const perSecond = Number(values['per-second']);
  const stageMs = Number(values.stage) * 1000;
  if (!(perSecond > 0 && stageMs > 0)) throw new Error('a number is needed');
  const rounds = await runDrill({
    appDir: await buildApp(),
    mend: !values['without-mend'],
    perSecond,
    stageMs,
    onStep: (step) =>
      process.stdout.write(`${(performance.now() / 1000).toFixed(1).padStart(6)} s  ${step}\n`),
  });
  for (const { moments, wrong, restoredMs } of rounds) {
    process.stdout.write(
      `\ncore to ${moments.core}, billing to ${moments.billing}, analytics to ${moments.analytics}: ` +
        `restored in ${(restoredMs / 1000).toFixed(1)} s, ${wrong.length} differences\n`,
    );
    for (const line of wrong.slice(0, SHOWN)) process.stdout.write(`  ${line}\n`);
  }
  if (rounds.some(({ wrong }) => wrong.length > 0)) process.exitCode = 1;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 1;
});
