import {
  adoptBlob,
  compareBlobs,
  type UnknownBlob,
} from '../../shared/domains/records/blobs/compare-blobs.ts';
import { addDays, utcDay } from '../../shared/platform/time/clock.ts';
import { ACTOR, type Scope } from './scope.ts';

/** The UTC days of the comparison. */
function daysOf({ since, until }: Pick<Scope, 'since' | 'until'>): string[] {
  const days: string[] = [];
  for (let at = since; utcDay(at) <= utcDay(until); at = addDays(at, 1)) days.push(utcDay(at));
  return days;
}

/** Finds blobs whose record is lost. A blob is never deleted or written here. */
export async function compareTenantBlobs(scope: Scope, tenantId: string): Promise<void> {
  const { services } = scope;
  const stores = { blobs: services.blobs, core: services.crossTenant.core };
  for (const day of daysOf(scope))
    for await (const { unknown } of compareBlobs(stores, tenantId, day)) {
      // `unmarked` ones are found by their records.
      for (const blob of unknown) if (blob.is === 'unrecorded') await take(scope, tenantId, blob);
    }
}

async function take(scope: Scope, tenantId: string, blob: UnknownBlob): Promise<void> {
  const { services, findings, mend, now } = scope;
  const adopted = await adoptBlob(services, tenantId, blob.name, { actor: ACTOR, now, write: mend });
  if (adopted === undefined) findings.add('blob_unreadable', tenantId, [{ blob: blob.name }]);
  else
    findings.add(
      'blob_ahead',
      tenantId,
      [
        {
          record_id: adopted.recordId,
          mapping_id: adopted.mappingId,
          created_at: adopted.createdAt.toISOString(),
          blob: blob.name,
        },
      ],
      { mended: mend },
    );
}
