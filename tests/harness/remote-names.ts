import dns from 'node:dns';

// Imported, or preloaded into a process (`--import`), it lets names under `remote.test` lead to this machine. Settings and
// clients take such a name for another machine, as they know a server by its name.

const systemLookup = dns.lookup;

type Answer = (
  error: NodeJS.ErrnoException | null,
  address: string | dns.LookupAddress[],
  family?: number,
) => void;

function lookup(name: string, ...given: readonly unknown[]): void {
  const answer = given.at(-1) as Answer;
  const options = given.length > 1 ? given[0] : {};
  if (!name.endsWith('.remote.test')) {
    Reflect.apply(systemLookup, dns, [name, ...given]);
    return;
  }
  const all = typeof options === 'object' && options !== null && Reflect.get(options, 'all') === true;
  if (all) answer(null, [{ address: '127.0.0.1', family: 4 }]);
  else answer(null, '127.0.0.1', 4);
}

Object.assign(dns, { lookup });
