import { runCommand } from './command.ts';

const print = (stream: NodeJS.WriteStream, text: string): Promise<void> =>
  new Promise((resolve) => stream.write(text, () => resolve()));

const { code, stdout, stderr, close } = await runCommand(process.argv.slice(2), {
  environment: process.env,
  hasColours: process.stdout.isTTY && process.stdout.hasColors() && (process.env['NO_COLOR'] ?? '') === '',
});
await print(process.stdout, stdout);
await print(process.stderr, stderr);
await close();
// Clients of what does not answer may keep the process, and everything is printed.
process.exit(code);
