import { readdirSync, readFileSync } from 'node:fs';

/**
 * Suspends a process and its descendants, like a machine that hangs: connections stay open and get no answer. Returns a
 * function that resumes them; it may be called again.
 */
export function freeze(pid: number | undefined): () => void {
  if (pid === undefined) throw new Error('there is no process to freeze');
  // The parent first, so that it does not see its children stop and react.
  const frozen = [pid];
  process.kill(pid, 'SIGSTOP');
  for (let n = 0; n < frozen.length; n++) {
    for (const child of findChildren(frozen[n] ?? 0)) {
      process.kill(child, 'SIGSTOP');
      frozen.push(child);
    }
  }
  return () => {
    for (const one of frozen.splice(0).reverse()) {
      try {
        process.kill(one, 'SIGCONT');
      } catch {
        // ended meanwhile
      }
    }
  };
}

function findChildren(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        // After the name, which is in brackets and may contain any character: the state, then the parent's pid.
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false;
      }
    })
    .map(Number);
}
