import type Stripe from 'stripe';
import { expandableKind, includable, includableFields } from '../objects/expandable.ts';
import type { Includable } from '../objects/expandable.ts';
import { isDecimal, isKind } from '../objects/kinds.ts';
import type { DeletedObject, Kind } from '../objects/kinds.ts';
import type { Store } from '../store/store.ts';
import { asItIsNow } from './as-it-is-now.ts';
import { invalidRequest } from './stripe-error.ts';

// Stripe expands four levels deep.
const MAX_EXPAND_DEPTH = 4;

const INCLUDED_LIST_LENGTH = 10;

/** The ways that remain to be expanded below a place. */
type Wants = readonly (readonly string[])[];

/** A place within an answer: the object that it belongs to, and the way from there. */
interface Place {
  readonly owner: Kind | undefined;
  readonly way: readonly string[];
  /** The whole way, for errors. */
  readonly path: readonly string[];
  /** Inside an event, which tells of an object as it was. */
  readonly isPast: boolean;
}

function cannotExpand(path: readonly string[]): Error {
  const name = path.join('.');
  const hint =
    path[0] === 'data' ? '' : ` You may want to try expanding 'data.${name}' instead, if this is a list.`;
  return invalidRequest(`This property cannot be expanded (${name}).${hint}`, { param: 'expand' });
}

function kindOf(value: object): Kind | undefined {
  return 'object' in value && typeof value.object === 'string' && isKind(value.object)
    ? value.object
    : undefined;
}

/** Makes answers of objects: ids that `expand` names become objects, and fields that only `expand` brings are left out. */
class Renderer {
  readonly #store: Store;
  /** Seconds since 1970. */
  readonly #now: number;

  constructor(store: Store, now: number) {
    this.#store = store;
    this.#now = now;
  }

  render(value: unknown, wants: Wants, place: Place): unknown {
    if (Array.isArray(value)) return value.map((item) => this.render(item, wants, place));
    if (typeof value === 'string') return wants.length > 0 ? this.#renderId(value, wants, place) : value;
    if (typeof value !== 'object' || value === null) {
      this.#checkEmpty(wants, place);
      return value;
    }
    if (isDecimal(value)) return value;
    return this.#renderFields(value, wants, place);
  }

  #renderFields(value: object, wants: Wants, place: Place): object {
    const kind = kindOf(value);
    const owner = kind ?? place.owner;
    const way = kind === undefined ? place.way : [];
    const isPast = place.isPast || kind === 'event';
    const current = isPast ? value : asItIsNow(this.#store, value, this.#now);
    const fields = new Map<string, unknown>(Object.entries(current));
    const wanted = new Set(wants.flatMap((want) => want.slice(0, 1)));
    for (const name of wanted) this.#include(value, name, fields, { owner, way, path: place.path, isPast });
    if (kind !== undefined)
      for (const name of includableFields(kind)) if (!wanted.has(name)) fields.delete(name);
    for (const [name, field] of fields) {
      const below = wants.filter(([first]) => first === name).map((want) => want.slice(1));
      fields.set(
        name,
        this.render(field, below, { owner, way: [...way, name], path: [...place.path, name], isPast }),
      );
    }
    return Object.fromEntries(fields);
  }

  #include(value: object, name: string, fields: Map<string, unknown>, place: Place): void {
    const { owner, way, path } = place;
    const included = owner === undefined || way.length > 0 ? undefined : includable(owner, name);
    if (included !== undefined && included !== 'stored')
      fields.set(name, this.#listIncluded(value, included));
    if (!fields.has(name) && included !== 'stored' && !this.#isExpandable({ ...place, way: [...way, name] }))
      throw cannotExpand([...path, name]);
  }

  #listIncluded(
    value: object,
    { kind, by, keep = () => true }: Exclude<Includable, 'stored'>,
  ): Stripe.ApiList<unknown> {
    const id: unknown = 'id' in value ? value.id : undefined;
    const all = this.#store.list(kind, (object) => Reflect.get(object, by) === id && keep(object));
    return {
      object: 'list',
      data: all.slice(0, INCLUDED_LIST_LENGTH),
      has_more: all.length > INCLUDED_LIST_LENGTH,
      url: `/v1/${kind}s?${by}=${String(id)}`,
    };
  }

  #isExpandable({ owner, way }: Place): boolean {
    return owner !== undefined && expandableKind(owner, way.join('.')) !== undefined;
  }

  #renderId(id: string, wants: Wants, place: Place): unknown {
    const kind = place.owner === undefined ? undefined : expandableKind(place.owner, place.way.join('.'));
    if (kind === undefined) throw cannotExpand(place.path);
    const object = this.#store.get(kind, id) ?? this.#deleted(kind, id);
    const below = wants.filter((want) => want.length > 0);
    return object === undefined ? id : this.render(object, below, { ...place, owner: kind, way: [] });
  }

  #deleted(kind: Kind, id: string): DeletedObject | undefined {
    return this.#store.isRemoved(kind, id) ? { id, object: kind, deleted: true } : undefined;
  }

  /** There is nothing to expand in null; a field that could never hold anything is an error all the same. */
  #checkEmpty(wants: Wants, place: Place): void {
    const isWanted = wants.some((want) => want.length === 0);
    const isIncludable =
      place.owner !== undefined &&
      place.way.length === 1 &&
      includable(place.owner, place.way[0] ?? '') !== undefined;
    if (isWanted && !isIncludable && !this.#isExpandable(place)) throw cannotExpand(place.path);
  }
}

/** The answer of a route, with the ways of `expand` (`data.default_price`) followed. Throws where one leads nowhere. */
export function renderAnswer(
  store: Store,
  now: number,
  answer: object,
  expand: readonly string[] = [],
): unknown {
  const wants = expand.map((path) => path.split('.'));
  for (const want of wants)
    if (want.filter((name) => name !== 'data').length > MAX_EXPAND_DEPTH)
      throw invalidRequest('You cannot expand more than 4 levels of a property.', { param: 'expand' });
  return new Renderer(store, now).render(answer, wants, {
    owner: undefined,
    way: [],
    path: [],
    isPast: false,
  });
}

/** An object as an event shows it: as it was, and without what only `expand` brings. */
export function renderPast(store: Store, object: object): unknown {
  const place = { owner: undefined, way: [], path: [], isPast: true };
  return new Renderer(store, 0).render(object, [], place);
}
