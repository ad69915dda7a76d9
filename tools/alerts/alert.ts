import type { INSTRUMENTS, InstrumentName } from '../../shared/platform/telemetry/instruments.ts';

/** The attributes of an instrument, each with the values that count. */
export type Where<Name extends InstrumentName> = {
  readonly [Attribute in keyof (typeof INSTRUMENTS)[Name]['attributes']]?: readonly string[];
};

/** More than a share of a counter's increase in the window has certain attributes. */
interface ShareCondition<Name extends InstrumentName> {
  readonly kind: 'share';
  readonly metric: Name;
  /** Which part is counted. */
  readonly where: Where<Name>;
  /** The share above which the alert fires, from 0 to 1. */
  readonly above: number;
  /** Fewer than this are no sign of anything, whatever their share. */
  readonly atLeast: number;
}

/** A counter has increased in the window by more than a number. */
interface IncreaseCondition<Name extends InstrumentName> {
  readonly kind: 'increase';
  readonly metric: Name;
  readonly where: Where<Name>;
  readonly above: number;
}

/** A gauge was beyond a value in the whole window: a single measure is no alert. Each combination of attributes counts alone. */
interface LevelCondition<Name extends InstrumentName> {
  readonly kind: 'level';
  readonly metric: Name;
  readonly where: Where<Name>;
  readonly beyond: { readonly above: number } | { readonly below: number };
}

/** A gauge was above the limit of its attribute's value in the whole window. */
interface LimitsCondition<Name extends InstrumentName> {
  readonly kind: 'limits';
  readonly metric: Name;
  readonly by: keyof (typeof INSTRUMENTS)[Name]['attributes'] & string;
  /** The limit of each value. A value that is not listed never fires. */
  readonly above: Readonly<Record<string, number>>;
}

/** A metric that is always there was not there in the window. */
interface MissingCondition<Name extends InstrumentName> {
  readonly kind: 'missing';
  readonly metric: Name;
}

type ConditionOf<Name extends InstrumentName> =
  | ShareCondition<Name>
  | IncreaseCondition<Name>
  | LevelCondition<Name>
  | LimitsCondition<Name>
  | MissingCondition<Name>;

/** What an alert looks for in the app's metrics. It compiles only with a metric of the app, and with that metric's attributes. */
export type Condition = { [Name in InstrumentName]: ConditionOf<Name> }[InstrumentName];

/** An alert of the deployment. */
export interface Alert {
  /** Also the name of its rule in Azure. */
  readonly name: string;
  /** What is wrong, for the one who is woken. */
  readonly description: string;
  /** Azure's: 0 critical, 1 error, 2 warning, 3 informational. 0 and 1 wake somebody. */
  readonly severity: 0 | 1 | 2 | 3;
  /** Over which time the condition looks. One of the windows that Azure allows. */
  readonly windowMinutes: 5 | 10 | 15 | 30 | 60;
  readonly condition: Condition;
  /** The file in `docs/runbooks/`, without its ending. */
  readonly runbook: string;
}
