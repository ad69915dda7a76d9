import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AccessTier } from '../../platform/blob/blob-store.ts';
import { addDays, DAY_MS } from '../../platform/time/clock.ts';
import {
  decideBlob,
  deleteAfter,
  firstCheck,
  MINIMUM_STAY_DAYS,
  RETENTION_CLASSES,
  type RetentionClass,
  type TieredBlob,
} from './tiers.ts';

const CREATED = new Date('2026-01-10T08:00:00Z');

function blobOf(retentionClass: RetentionClass, tier: AccessTier = 'Hot', tierChangedDays = 0): TieredBlob {
  return {
    retentionClass,
    tier,
    createdAt: CREATED,
    tierChangedAt: addDays(CREATED, tierChangedDays),
    deleteAfter: deleteAfter(retentionClass, CREATED),
  };
}

describe('a blob’s tier', () => {
  it.each([
    ['stays hot for 30 days', blobOf('mapping_results'), 29.9, 'wait'],
    ['is cool from 30 days on', blobOf('mapping_results'), 30, 'Cool'],
    ['is archived from 90 days on', blobOf('mapping_results', 'Cool', 30), 90, 'Archive'],
    ['is archived at once when it was forgotten', blobOf('audit_logs'), 200, 'Archive'],
    ['waits out the cool tier’s 30 days', blobOf('backups', 'Cool', 85), 90, 'wait'],
    ['is archived after them', blobOf('backups', 'Cool', 85), 115, 'Archive'],
    ['is never archived for less than 180 days', blobOf('training_data', 'Cool', 30), 90, 'wait'],
    ['is never cool for less than 30 days', blobOf('training_data'), 160, 'wait'],
    ['is cool instead, where archiving does not pay', blobOf('training_data'), 120, 'Cool'],
    ['never warms', blobOf('mapping_results', 'Archive', 10), 40, 'wait'],
    ['is deleted when its class’s time is over', blobOf('training_data', 'Cool', 30), 181, 'delete'],
  ] as const)('%s', (_title, blob, days, expected) => {
    const decision = decideBlob(blob, addDays(CREATED, days));
    expect(decision.action === 'move' ? decision.tier : decision.action).toBe(expected);
  });

  it('is deleted after 7 years, 1 year or 6 months, by class', () => {
    const ends = RETENTION_CLASSES.map((name) => [
      name,
      deleteAfter(name, CREATED).toISOString().slice(0, 10),
    ]);
    expect(Object.fromEntries(ends)).toEqual({
      mapping_results: '2033-01-10',
      audit_logs: '2033-01-10',
      model_artifacts: '2027-01-10',
      backups: '2027-01-10',
      training_data: '2026-07-10',
    });
    // If the last month has no such day, the deletion is later, never earlier.
    expect(deleteAfter('training_data', new Date('2026-08-31T00:00:00Z')).toISOString()).toBe(
      '2027-03-03T00:00:00.000Z',
    );
  });

  it('is first checked after 30 days', () => {
    expect(firstCheck('mapping_results', CREATED)).toEqual(addDays(CREATED, 30));
  });
});

describe('for a blob of any class, tier and age', () => {
  const blobs = fc.record({
    retentionClass: fc.constantFrom(...RETENTION_CLASSES),
    tier: fc.constantFrom<AccessTier>('Hot', 'Cool', 'Cold', 'Archive'),
    tierChangedDays: fc.integer({ min: 0, max: 2600 }),
    sinceDays: fc.double({ min: 0, max: 2800, noNaN: true }),
  });
  const made = ({
    retentionClass,
    tier,
    tierChangedDays,
    sinceDays,
  }: typeof blobs extends fc.Arbitrary<infer T> ? T : never) => {
    const blob = blobOf(retentionClass, tier, tierChangedDays);
    return { blob, now: addDays(CREATED, tierChangedDays + sinceDays) };
  };

  it('it is deleted when its retention ends, neither earlier nor later', () => {
    fc.assert(
      fc.property(blobs, (given) => {
        const { blob, now } = made(given);
        expect(decideBlob(blob, now).action === 'delete').toBe(now >= blob.deleteAfter);
      }),
    );
  });

  it('it leaves no tier before its minimum stay is over, and enters none that it would leave earlier', () => {
    fc.assert(
      fc.property(blobs, (given) => {
        const { blob, now } = made(given);
        const decision = decideBlob(blob, now);
        if (decision.action !== 'move') return;
        const stayed = (now.getTime() - blob.tierChangedAt.getTime()) / DAY_MS;
        const remains = (blob.deleteAfter.getTime() - now.getTime()) / DAY_MS;
        expect(stayed).toBeGreaterThanOrEqual(MINIMUM_STAY_DAYS[blob.tier]);
        expect(remains).toBeGreaterThanOrEqual(MINIMUM_STAY_DAYS[decision.tier]);
      }),
    );
  });

  it('its next check is in the future, and no move is due before it', () => {
    fc.assert(
      fc.property(blobs, fc.double({ min: 0.001, max: 0.999, noNaN: true }), (given, share) => {
        const { blob, now } = made(given);
        const decision = decideBlob(blob, now);
        if (decision.action === 'delete') return;
        expect(decision.nextCheckAt.getTime()).toBeGreaterThan(now.getTime());
        const after =
          decision.action === 'move' ? { ...blob, tier: decision.tier, tierChangedAt: now } : blob;
        const between = new Date(now.getTime() + share * (decision.nextCheckAt.getTime() - now.getTime()));
        expect(decideBlob(after, between).action).toBe('wait');
      }),
    );
  });
});
