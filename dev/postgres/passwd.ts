import { readFileSync } from 'node:fs';

/** The numeric ids of a user of this machine, or undefined when there is no such user. */
export function readPasswd(name: string): { uid: number; gid: number } | undefined {
  let lines: string[];
  try {
    lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  } catch {
    return undefined;
  }
  const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(':');
  const uid = Number(fields?.[2]);
  const gid = Number(fields?.[3]);
  return fields !== undefined && Number.isInteger(uid) && Number.isInteger(gid) ? { uid, gid } : undefined;
}
