import { describe, expect, it } from 'vitest';
import { interleave, isReached, makeFigure, median, percentile, slope, spread } from './figures.ts';

describe('the arithmetic of figures', () => {
  it('takes the middle of the values in any order', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it('finds percentiles between the nearest values', () => {
    expect(percentile([10, 20, 30], 0)).toBe(10);
    expect(percentile([10, 20, 30], 1)).toBe(30);
    expect(percentile([10, 20], 0.75)).toBe(17.5);
    expect(spread([2, 9, 4])).toEqual([2, 9]);
  });

  it('fits a slope', () => {
    expect(
      slope([
        [0, 1],
        [1, 3],
        [2, 5],
      ]),
    ).toBeCloseTo(2);
    expect(
      slope([
        [0, 5],
        [1, 5],
      ]),
    ).toBe(0);
  });

  it('divides round by round, not median by median', () => {
    const side = (values: number[]) => ({ name: 'side', unit: '/s', values });
    const figure = makeFigure({
      bench: 'x',
      name: 'x',
      candidate: side([10, 30]),
      baseline: side([10, 10]),
      target: { bound: 'at least', value: 2 },
    });
    expect(figure.ratios).toEqual([1, 3]);
    expect(isReached(figure)).toBe(true);
    expect(isReached({ ...figure, target: { bound: 'at most', value: 1.9 } })).toBe(false);
    expect(() => makeFigure({ ...figure, candidate: side([1]) })).toThrow('each round');
  });

  it('lets baseline and candidate begin in turns', async () => {
    const order: string[] = [];
    const run = (name: string) => () => {
      order.push(name);
      return Promise.resolve(order.length);
    };
    const values = await interleave(2, run('b'), run('c'));
    expect(order).toEqual(['b', 'c', 'c', 'b']);
    expect(values).toEqual({ baseline: [1, 4], candidate: [2, 3] });
  });
});
