import { createServer } from 'node:net';

const LOOPBACK = '127.0.0.1';
const NEXT_PORT_TRIES = 200; // a machine with 200 neighbouring ports taken has another problem

function tryListen(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') {
        resolve(undefined);
      } else {
        reject(error);
      }
    });
    probe.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      const address = probe.address();
      const bound = address !== null && typeof address === 'object' ? address.port : port;
      probe.close(() => resolve(bound));
    });
  });
}

/** A loopback port that nobody listens on: `preferred` when that is free, else one the system picks. */
export async function findFreePort(preferred?: number): Promise<number> {
  const wanted = preferred === undefined ? undefined : await tryListen(preferred);
  const port = wanted ?? (await tryListen(0));
  if (port === undefined) {
    throw new Error('no free loopback port');
  }
  return port;
}

/** The first free loopback port at or above `from`; throws when the next 200 are all taken. */
export async function findNextFreePort(from: number): Promise<number> {
  for (let port = from; port < from + NEXT_PORT_TRIES && port < 65_536; port += 1) {
    const bound = await tryListen(port);
    if (bound !== undefined) {
      return bound;
    }
  }
  throw new Error(`no free loopback port from ${from} on`);
}
