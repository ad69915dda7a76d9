/** The load client as a process. It gets orders over its IPC channel, one at a time, and ends with its parent. */
import { loadOrder } from './protocol.ts';
import { runLoad } from './run-load.ts';

process.on('message', (message) => {
  runLoad(loadOrder.parse(message)).then(
    (result) => process.send?.({ type: 'done', result }),
    (error: unknown) => process.send?.({ type: 'failed', message: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ type: 'ready' });
