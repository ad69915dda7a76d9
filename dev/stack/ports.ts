import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const portsSchema = z.object({
  postgres: z.int().optional(),
  azurite: z.int().optional(),
  broker: z.int().optional(),
  redis: z.int().optional(),
  stripe: z.int().optional(),
  oidc: z.int().optional(),
});

/** The ports of a stack's parts. They are kept so that connection strings stay the same after a restart. */
export type StackPorts = z.output<typeof portsSchema>;

/** The ports of the last start in this folder; empty at the first start. */
export function readPorts(folder: string): StackPorts {
  try {
    return portsSchema.parse(JSON.parse(readFileSync(path.join(folder, 'ports.json'), 'utf8')));
  } catch {
    return {};
  }
}

/** Saves the ports of this start. */
export function writePorts(folder: string, ports: StackPorts): void {
  writeFileSync(path.join(folder, 'ports.json'), `${JSON.stringify(ports)}\n`);
}
