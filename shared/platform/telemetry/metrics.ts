import {
  INSTRUMENTS,
  OTHER,
  type AttributesOf,
  type Instrument,
  type InstrumentName,
  type NameOf,
} from './instruments.ts';

// The process's numbers. They exist from the start, before any exporter is loaded, so nothing that happened early is lost:
// the API's counters drop everything until an SDK is registered, and an SDK at the start would be paid by every cold start.
// Exporter and `GET /platform/metrics` read the same numbers.

/**
 * The most series of one instrument. The lists of attributes allow more together (routes × codes), but a process never meets most
 * of the pairs. A later one is counted under {@link OTHER}.
 */
const SERIES_MAX = 2_000;

/** A histogram's counts: one for each bucket, and one for what is above the last. */
export interface HistogramValue {
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** One series, as it is now. */
export interface SeriesValue {
  readonly attributes: Readonly<Record<string, string>>;
  readonly value: number | HistogramValue;
}

/** One instrument with its series. */
export interface MetricValues {
  readonly name: InstrumentName;
  readonly instrument: Instrument;
  readonly series: readonly SeriesValue[];
}

/** The value of one series of a gauge. */
export interface Measured<Name extends NameOf<'gauge'> = NameOf<'gauge'>> {
  readonly name: Name;
  readonly attributes: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Series {
  readonly attributes: Readonly<Record<string, string>>;
  value: number;
  readonly counts: number[];
  count: number;
  /** On the monotonic clock: when a gauge that was set is too old to be told. */
  until: number;
}

const series = new Map<InstrumentName, Map<string, Series>>();
const declared = new Map<string, ReadonlySet<string>>();
const closedLists = new Map<readonly string[], ReadonlySet<string>>();
const sources = new Set<() => readonly Measured[]>();

/** When the process began to count. */
export const countedSince = Date.now();

/** Gives the lists of the attributes that are `declared`: the app's routes, queues, jobs and problem codes. */
export function declareValues(values: Readonly<Record<string, readonly string[]>>): void {
  for (const [attribute, list] of Object.entries(values)) declared.set(attribute, new Set(list));
}

function allowed(instrument: Instrument, attribute: string): ReadonlySet<string> | undefined {
  const list = instrument.attributes[attribute];
  if (list === undefined || list === 'declared') return declared.get(attribute);
  let known = closedLists.get(list);
  if (known === undefined) {
    known = new Set(list);
    closedLists.set(list, known);
  }
  return known;
}

/** Attributes with their values bounded, and the key of their series. */
function bounded(
  instrument: Instrument,
  given: Readonly<Record<string, string>>,
): { readonly attributes: Readonly<Record<string, string>>; readonly key: string } {
  const attributes: Record<string, string> = {};
  let key = '';
  for (const attribute in instrument.attributes) {
    const value = given[attribute] ?? OTHER;
    attributes[attribute] = allowed(instrument, attribute)?.has(value) === true ? value : OTHER;
    key += `${attributes[attribute]}|`;
  }
  return { attributes, key };
}

function seriesOf(name: InstrumentName, given: Readonly<Record<string, string>>): Series {
  const instrument: Instrument = INSTRUMENTS[name];
  let ofName = series.get(name);
  if (ofName === undefined) {
    ofName = new Map();
    series.set(name, ofName);
  }
  const { attributes, key } = bounded(instrument, given);
  const found = ofName.get(key);
  if (found !== undefined) return found;
  if (ofName.size >= SERIES_MAX && Object.values(attributes).some((value) => value !== OTHER))
    return seriesOf(name, {});
  const buckets = (instrument.buckets?.length ?? -1) + 1;
  const made = {
    attributes,
    value: 0,
    counts: new Array<number>(buckets).fill(0),
    count: 0,
    until: Infinity,
  };
  ofName.set(key, made);
  return made;
}

/** Counts. An attribute's value outside its list is counted as {@link OTHER}. Never throws. */
export function count<Name extends NameOf<'counter'>>(
  name: Name,
  attributes: AttributesOf<Name>,
  amount = 1,
): void {
  if (amount > 0) seriesOf(name, attributes).value += amount;
}

/** A counter of one series, for a path that counts with every request. */
export function counterOf<Name extends NameOf<'counter'>>(
  name: Name,
  attributes: AttributesOf<Name>,
): () => void {
  let found: Series | undefined;
  return () => {
    found ??= seriesOf(name, attributes);
    found.value += 1;
  };
}

/** Adds a value to a histogram. */
export function observe<Name extends NameOf<'histogram'>>(
  name: Name,
  attributes: AttributesOf<Name>,
  value: number,
): void {
  if (!Number.isFinite(value)) return;
  const bounds: readonly number[] = INSTRUMENTS[name].buckets;
  const into = seriesOf(name, attributes);
  let at = 0;
  while (at < bounds.length && value > (bounds[at] ?? Infinity)) at += 1;
  into.counts[at] = (into.counts[at] ?? 0) + 1;
  into.value += value;
  into.count += 1;
}

/** Sets a gauge. It is told for `ttlMs`, so that the last value of a timer that stopped does not look like the present one. */
export function setGauge<Name extends NameOf<'gauge'>>(
  name: Name,
  attributes: AttributesOf<Name>,
  value: number,
  ttlMs = Infinity,
): void {
  const one = seriesOf(name, attributes);
  one.value = value;
  one.until = performance.now() + ttlMs;
}

/** Adds a source of gauges, which is read when the metrics are. Returns a function that removes it. */
export function addGaugeSource(source: () => readonly Measured[]): () => void {
  sources.add(source);
  return () => void sources.delete(source);
}

/** The share of hits of each cache, from the counter of look-ups. */
function hitRates(): Measured[] {
  const byCache = new Map<string, { hits: number; all: number }>();
  for (const { attributes, value } of series.get('cache_lookups_total')?.values() ?? []) {
    const cache = attributes['cache'] ?? OTHER;
    const sum = byCache.get(cache) ?? { hits: 0, all: 0 };
    sum.all += value;
    if (attributes['outcome'] === 'hit') sum.hits += value;
    byCache.set(cache, sum);
  }
  return [...byCache].flatMap(([cache, { hits, all }]) =>
    all === 0 ? [] : [{ name: 'cache_hit_rate' as const, attributes: { cache }, value: hits / all }],
  );
}

/**
 * All metrics that have a series, as they are now. `measured`: gauges that were measured elsewhere, in place of this process's own.
 */
export function readMetrics(measured: readonly Measured[] = []): MetricValues[] {
  const now = performance.now();
  const told = new Map<InstrumentName, SeriesValue[]>();
  for (const [name, ofName] of series) {
    const values = [...ofName.values()].filter(({ until }) => until > now);
    told.set(
      name,
      values.map((one) => ({ attributes: one.attributes, value: valueOf(INSTRUMENTS[name], one) })),
    );
  }
  for (const { name } of measured) told.delete(name);
  for (const { name, attributes, value } of [
    ...[...sources, hitRates].flatMap((source) => source()),
    ...measured,
  ]) {
    const list = told.get(name) ?? [];
    told.set(name, list);
    list.push({ attributes: bounded(INSTRUMENTS[name], attributes).attributes, value });
  }
  return [...told]
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => ({ name, instrument: INSTRUMENTS[name], series: values }))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}

function valueOf(instrument: Instrument, one: Series): number | HistogramValue {
  if (instrument.kind !== 'histogram') return one.value;
  return { counts: [...one.counts], sum: one.value, count: one.count };
}
