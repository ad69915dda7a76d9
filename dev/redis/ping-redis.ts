import { connect } from 'node:net';

const PING_TIMEOUT_MS = 1_000;

/** Whether the server on this loopback port accepts the password and answers a ping, within a second. */
export function pingRedis(port: number, password: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let answer = '';
    const finish = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.setTimeout(PING_TIMEOUT_MS, () => finish(false));
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
    socket.once('connect', () => socket.write(`AUTH ${password}\r\nPING\r\n`));
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      if (answer.includes('+PONG')) {
        finish(true);
      } else if (answer.includes('-')) {
        finish(false);
      }
    });
  });
}
