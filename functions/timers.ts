import type { ScheduledJob } from '../shared/platform/jobs/scheduled-job.ts';
import { processServices } from './services.ts';
import { alertsEvaluateTimer } from './timer/alerts-evaluate.ts';
import { blobsTierTimer } from './timer/blobs-tier.ts';
import { blobsVerifyTimer } from './timer/blobs-verify.ts';
import { dataKeysRewrapTimer } from './timer/data-keys-rewrap.ts';
import { dunningAdvanceTimer } from './timer/dunning-advance.ts';
import { freeTierResetTimer } from './timer/free-tier-reset.ts';
import { healthMeasureTimer } from './timer/health-measure.ts';
import { healthProbeTimer } from './timer/health-probe.ts';
import { leftoversSweepTimer } from './timer/leftovers-sweep.ts';
import { outboxRelayTimer } from './timer/outbox-relay.ts';
import { partitionsMakeTimer } from './timer/partitions-make.ts';
import { recordsExpireTimer } from './timer/records-expire.ts';
import { sessionsExpireTimer } from './timer/sessions-expire.ts';
import { stripeEventsExpireTimer } from './timer/stripe-events-expire.ts';
import { stripeReconcileTimer } from './timer/stripe-reconcile.ts';
import { tenantErasuresTimer } from './timer/tenant-erasures.ts';
import { telemetryGaugesTimer } from './timer/telemetry-gauges.ts';
import { tenantExportsTimer } from './timer/tenant-exports.ts';
import { usageReportTimer } from './timer/usage-report.ts';
import { webhooksRetryTimer } from './timer/webhooks-retry.ts';

/** Every job of the app with its schedule. The doctor compares the ledger of runs with it. */
export const timers: readonly ScheduledJob[] = [
  alertsEvaluateTimer,
  blobsTierTimer,
  blobsVerifyTimer,
  dataKeysRewrapTimer,
  dunningAdvanceTimer,
  freeTierResetTimer,
  healthMeasureTimer,
  healthProbeTimer(processServices),
  leftoversSweepTimer,
  outboxRelayTimer,
  partitionsMakeTimer,
  recordsExpireTimer,
  sessionsExpireTimer,
  stripeEventsExpireTimer,
  stripeReconcileTimer,
  tenantErasuresTimer,
  telemetryGaugesTimer(() => timers.map(({ job }) => job.name)),
  tenantExportsTimer,
  usageReportTimer,
  webhooksRetryTimer,
];
