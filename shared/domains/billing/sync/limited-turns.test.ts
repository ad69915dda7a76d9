import { expect, it } from 'vitest';
import { LimitedTurns } from './limited-turns.ts';

it('never runs more at a time than its width, in order, and goes on after a failure', async () => {
  const turns = new LimitedTurns(2);
  const begun: number[] = [];
  let running = 0;
  let most = 0;
  const done = await Promise.allSettled(
    [0, 1, 2, 3, 4].map((n) =>
      turns.run(async () => {
        begun.push(n);
        most = Math.max(most, (running += 1));
        await Promise.resolve();
        running -= 1;
        if (n === 1) throw new Error('no');
        return n;
      }),
    ),
  );
  expect(most).toBe(2);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  expect(done.map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
  ]);
});
