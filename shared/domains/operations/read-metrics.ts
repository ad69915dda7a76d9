import type { Call } from '../../platform/call/call.ts';
import { okText, type OtherText, type Reply } from '../../platform/call/reply.ts';
import { faultOf } from '../../platform/db/errors.ts';
import { storedGauges } from './stored-gauges.ts';

/**
 * The metrics of this process as Prometheus text, with what the job `telemetry-gauges` measured for all. Without the database the
 * process's own are told.
 */
export async function readMetricsText(call: Call): Promise<Reply<200, OtherText>> {
  const measured = await storedGauges(call.services.crossTenant.core, call.now).catch((error: unknown) => {
    if (faultOf(error) === 'unavailable') return [];
    throw error;
  });
  const { PROMETHEUS_TEXT, prometheusText } = await import('../../platform/telemetry/prometheus.ts');
  return okText(PROMETHEUS_TEXT, prometheusText(measured), { 'cache-control': 'no-store' });
}
