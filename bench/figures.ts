/** The bound that a ratio must reach. */
export interface Target {
  readonly bound: 'at least' | 'at most';
  readonly value: number;
}

/** One side of a ratio: the measured value of each round, in their order. */
export interface Side {
  readonly name: string;
  readonly unit: string;
  readonly values: readonly number[];
}

/** A ratio of a candidate to a named baseline, both measured in the same run on the same server. */
export interface Figure {
  readonly bench: string;
  readonly name: string;
  readonly candidate: Side;
  readonly baseline: Side;
  /** The candidate's value ÷ the baseline's, for each round. */
  readonly ratios: readonly number[];
  /** Absent for a figure that explains another one. */
  readonly target?: Target;
  readonly notes: readonly string[];
}

/** The median; NaN for no values. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The value below which a share (0 to 1) of all values is, interpolated between the two nearest; NaN for no values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  if (below === undefined || above === undefined) return Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** The smallest and the largest value. */
export function spread(values: readonly number[]): readonly [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/** The slope of the best line through points (x, y), in units of y per unit of x; NaN for fewer than two points. */
export function slope(points: readonly (readonly [number, number])[]): number {
  const n = points.length;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n;
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const variance = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return covariance / variance;
}

/**
 * Makes a figure from the values of each round.
 * @throws Error when the sides have different numbers of rounds, or none.
 */
export function makeFigure(
  parts: Omit<Figure, 'ratios' | 'notes'> & { readonly notes?: readonly string[] },
): Figure {
  const { candidate, baseline } = parts;
  if (candidate.values.length !== baseline.values.length || candidate.values.length === 0) {
    throw new Error(`${parts.name}: each round needs a value of both sides`);
  }
  const ratios = candidate.values.map((value, round) => value / (baseline.values[round] ?? Number.NaN));
  return { ...parts, ratios, notes: parts.notes ?? [] };
}

/** Whether a figure's median reaches its target; undefined without a target. */
export function isReached(figure: Figure): boolean | undefined {
  if (figure.target === undefined) return undefined;
  const { bound, value } = figure.target;
  return bound === 'at least' ? median(figure.ratios) >= value : median(figure.ratios) <= value;
}

/**
 * Runs baseline and candidate in turns. Every second round begins with the other one, so that neither always runs on the
 * state that the other left. Returns their values, one per round.
 */
export async function interleave(
  rounds: number,
  baseline: () => Promise<number>,
  candidate: () => Promise<number>,
): Promise<{ readonly baseline: number[]; readonly candidate: number[] }> {
  const values = { baseline: [] as number[], candidate: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    if (round % 2 === 0) {
      values.baseline.push(await baseline());
      values.candidate.push(await candidate());
    } else {
      values.candidate.push(await candidate());
      values.baseline.push(await baseline());
    }
  }
  return values;
}
