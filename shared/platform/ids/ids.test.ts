import { expect, test } from 'vitest';
import { instantOfId, lowestIdAt, newId } from './ids.ts';

test('the lowest id of an instant parts the ids that were made earlier from those made then or later', () => {
  for (const ms of [0, 1, 0xffff, 0x1_0000, 1_700_000_000_000, Date.parse('9989-12-31T23:59:59.999Z')]) {
    const at = new Date(ms);
    const [lowest, next] = [lowestIdAt(at), lowestIdAt(new Date(ms + 1))];
    for (let n = 0; n < 100; n++) {
      const id = newId(at);
      expect(id >= lowest && id < next).toBe(true);
      expect(instantOfId(id)).toEqual(at);
    }
  }
});
