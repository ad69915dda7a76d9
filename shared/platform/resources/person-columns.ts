/**
 * What becomes of a column that names a person when this person is erased. `delete`: the rows go. `pseudonym`: a pseudonym stands there
 * instead. `trail`: the same, by the function that rewrites the audit trail. `keep`: it stays, with the reason.
 */
type PersonColumn = 'delete' | 'pseudonym' | 'trail' | { readonly keep: string };

/** The columns of a table that name a person: by the id, as `user:<id>`, or by the e-mail address. */
export type PersonColumns = Readonly<Record<string, PersonColumn>>;
