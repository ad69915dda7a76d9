/** What a comparison of the stores can find. `mend`: what brings it right, with `--mend` or by a person. */
export const KINDS = {
  messages_waiting: {
    what: 'messages that no consumer has taken yet',
    mend: 'Wait until the queues are empty, and compare again. Nothing here is lost.',
    byTool: false,
  },
  dead_letters: {
    what: 'messages among the dead letters',
    mend: 'Resubmit them: their writes may be missing below.',
    byTool: false,
  },
  outbox_waiting: {
    what: 'rows of the outboxes that are not published',
    mend: 'The timer outbox-relay publishes them. Consumers recognise what they have.',
    byTool: false,
  },
  key_undestroyed: {
    what: 'data keys that were destroyed, and that core has again',
    mend: 'Destroyed again. What they sealed cannot be opened any more.',
    byTool: true,
  },
  erasure_undone: {
    what: 'erased tenants of which a restored database may have rows again',
    mend: 'Nobody can sign in for them, and the timer tenant-erasures erases them again.',
    byTool: true,
  },
  person_erasure_undone: {
    what: 'erased persons whom a restored database may have again',
    mend: 'Their erasure is requested again: the timer tenant-erasures does it.',
    byTool: true,
  },
  person_joined_again: {
    what: 'erased persons of whom a restored database may have old rows, and who joined the tenant again since',
    mend: 'They are members, so nothing is erased. Ask the tenant: it can request the erasure again.',
    byTool: false,
  },
  usage_behind: {
    what: 'usage events of existing writes that billing or analytics does not have',
    mend: 'Published again under the same identities.',
    byTool: true,
  },
  usage_ahead: {
    what: 'usage that billing has of writes that core does not have any more',
    mend: 'The calls were answered and then lost. Credit them, or leave them: see the runbook.',
    byTool: false,
  },
  audit_behind: {
    what: 'entries of the audit trail of existing writes that are missing',
    mend: 'Written again from the rows. Who acted is not known any more; the entry says that it was made again.',
    byTool: true,
  },
  audit_ahead: {
    what: 'entries of the audit trail of writes that core does not have any more',
    mend: 'They stay: they came from the bus after the restore, and are evidence of lost writes.',
    byTool: false,
  },
  record_not_archived: {
    what: 'records that are not marked as archived',
    mend: 'Their archive is requested again. A blob that exists is compared, never overwritten.',
    byTool: true,
  },
  blob_ahead: {
    what: 'blobs whose record does not exist any more',
    mend: 'They stay, and are kept in ops.blobs again until their retention ends. The document has the lost record.',
    byTool: true,
  },
  blob_unreadable: {
    what: 'blobs in the place of records that are no document of their tenant',
    mend: 'Look at them: nothing of this service wrote them.',
    byTool: false,
  },
  tenant_ahead: {
    what: 'each tenant that billing or the blobs have and core does not',
    mend: 'Make the tenant again (POST /platform/tenants). Its data key is lost: what it sealed cannot be opened.',
    byTool: false,
  },
  plan_lost: {
    what: 'each tenant whose plan billing does not have any more',
    mend: 'The plan begins again, with a new period.',
    byTool: true,
  },
  standing_stale: {
    what: 'each tenant of which core knows another plan or standing than billing has',
    mend: 'Taken over from billing.',
    byTool: true,
  },
  stripe_behind: {
    what: 'events of Stripe that billing does not have',
    mend: 'Stripe’s events of the last 30 days are read again, and its objects compared.',
    byTool: true,
  },
  units_ahead: {
    what: 'units of metered use that Stripe was told of and billing does not know',
    mend: 'Written down as reported, so that they are not charged twice.',
    byTool: true,
  },
  roll_up_differs: {
    what: 'hours and days in analytics that differ from the ledger of usage',
    mend: 'Set to what the ledger has.',
    byTool: true,
  },
  act_undone: {
    what: 'revoked keys that are valid again',
    mend: 'Revoked again.',
    byTool: true,
  },
  act_to_repeat: {
    what: 'acts of people after the restored moment that are undone',
    mend: 'Repeat each one: the journal says who did what.',
    byTool: false,
  },
  restore_unnoted: {
    what: 'audit trails that do not say that they were restored',
    mend: 'An entry says to which moment, and that later entries are lost.',
    byTool: true,
  },
} as const;

export type Kind = keyof typeof KINDS;

/** One difference between the stores. */
export interface Finding {
  readonly kind: Kind;
  readonly tenantId: string | null;
  readonly count: number;
  /** By usage type. */
  readonly amounts?: Readonly<Record<string, number>>;
  /** Ids and facts, for a program or a person that looks into it. */
  readonly items: readonly Readonly<Record<string, unknown>>[];
  /** Whether this run has mended it. */
  readonly mended: boolean;
}

/** Collects findings. Those of one kind and tenant become one. */
export class Findings {
  readonly #found = new Map<string, Finding>();

  add(
    kind: Kind,
    tenantId: string | null,
    items: readonly Readonly<Record<string, unknown>>[],
    more: {
      readonly mended?: boolean;
      readonly amounts?: Readonly<Record<string, number>>;
      readonly count?: number;
    } = {},
  ): void {
    const count = more.count ?? items.length;
    if (count === 0) return;
    const key = `${kind} ${tenantId ?? ''}`;
    const before = this.#found.get(key);
    const amounts: Record<string, number> = { ...before?.amounts };
    for (const [type, amount] of Object.entries(more.amounts ?? {}))
      amounts[type] = (amounts[type] ?? 0) + amount;
    this.#found.set(key, {
      kind,
      tenantId,
      count: (before?.count ?? 0) + count,
      ...(Object.keys(amounts).length === 0 ? {} : { amounts }),
      items: [...(before?.items ?? []), ...items],
      mended: (before?.mended ?? true) && more.mended === true,
    });
  }

  /** In the order of {@link KINDS}, by tenant. */
  list(): Finding[] {
    const kinds = Object.keys(KINDS);
    return [...this.#found.values()].sort(
      (a, b) =>
        kinds.indexOf(a.kind) - kinds.indexOf(b.kind) || ((a.tenantId ?? '') < (b.tenantId ?? '') ? -1 : 1),
    );
  }
}
