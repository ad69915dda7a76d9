import { createServer } from 'node:net';

const LOOPBACK = '127.0.0.1';
const NEXT_PORT_TRIES = 200; // more than a healthy machine has in use side by side

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

/** A free loopback port: `preferred` if it is free, else one that the system chooses. */
export async function findFreePort(preferred?: number): Promise<number> {
  const wanted = preferred === undefined ? undefined : await tryListen(preferred);
  const port = wanted ?? (await tryListen(0));
  if (port === undefined) {
    throw new Error('no free loopback port');
  }
  return port;
}

/** The first free loopback port at or above `from`. Throws when 200 ports are in use. */
export async function findNextFreePort(from: number): Promise<number> {
  for (let port = from; port < from + NEXT_PORT_TRIES && port < 65_536; port += 1) {
    const bound = await tryListen(port);
    if (bound !== undefined) {
      return bound;
    }
  }
  throw new Error(`no free loopback port from ${from} on`);
}
