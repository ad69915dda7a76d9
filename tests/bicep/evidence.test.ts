import { describe, expect, it } from 'vitest';
import {
  decideBlob,
  deleteAfter,
  RETENTION_CLASSES,
  type RetentionClass,
} from '../../shared/domains/retention/tiers.ts';
import { CONTAINERS, type AccessTier } from '../../shared/platform/blob/blob-store.ts';
import { addDays, DAY_MS } from '../../shared/platform/time/clock.ts';
import {
  at,
  compiled,
  ofType,
  predictedWith,
  templatesIn,
  type PredictedResource,
  type Prediction,
} from './compiled.ts';

const made = await compiled();
const locked = made && (await predictedWith('prod', { evidenceImmutability: "'locked'" }));

const ACCOUNT = 'Microsoft.Storage/storageAccounts';
const CONTAINER = `${ACCOUNT}/blobServices/containers`;
const CONTRIBUTOR = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe';

/** The account that has the containers of evidence. */
function evidenceOf(prediction: Prediction): PredictedResource {
  const found = ofType(prediction, ACCOUNT).filter((account) =>
    ofType(prediction, CONTAINER).some(
      (one) => one.id.startsWith(`${account.id}/`) && one.name === CONTAINERS.records,
    ),
  );
  expect(found).toHaveLength(1);
  return found[0] as PredictedResource;
}

/** The account of tenants' exports, which has another part of the name (`bicep/names.bicep`). */
function exportsOf(prediction: Prediction): PredictedResource | undefined {
  const { name } = evidenceOf(prediction);
  return ofType(prediction, ACCOUNT).find((one) => one.name === `${name.slice(0, 11)}ex${name.slice(13)}`);
}

/** A kind of resource below the evidence account. */
function below(prediction: Prediction, type: string): readonly PredictedResource[] {
  const { id } = evidenceOf(prediction);
  return ofType(prediction, type).filter((one) => one.id.startsWith(`${id}/`));
}

/** The container of each class, from the containers' own metadata. */
function containersOf(prediction: Prediction): Map<RetentionClass, string> {
  return new Map(
    below(prediction, CONTAINER).map((one) => [
      at(one.properties, 'metadata.retention_class') as RetentionClass,
      one.name,
    ]),
  );
}

/** The day from which the code has a blob in a tier, when its job runs every day; undefined if never. */
function dayOf(retentionClass: RetentionClass, wanted: AccessTier): number | undefined {
  const createdAt = new Date('2027-01-01T00:00:00Z');
  const blob = { retentionClass, createdAt, deleteAfter: deleteAfter(retentionClass, createdAt) };
  let tier: AccessTier = 'Hot';
  let tierChangedAt = createdAt;
  for (let day = 0; day < 366; day += 1) {
    const now = addDays(createdAt, day);
    const decision = decideBlob({ ...blob, tier, tierChangedAt }, now);
    if (decision.action !== 'move') continue;
    tier = decision.tier;
    tierChangedAt = now;
    if (tier === wanted) return day;
  }
  return undefined;
}

/** The most days between a blob's creation and its deletion by the code, whenever it is created. */
function longestDays(retentionClass: RetentionClass): number {
  const starts = Array.from({ length: 8 * 366 }, (_, day) => addDays(new Date('2026-11-01T00:00:00Z'), day));
  return Math.max(
    ...starts.map((start) => (deleteAfter(retentionClass, start).getTime() - start.getTime()) / DAY_MS),
  );
}

describe.runIf(made !== undefined)('storage accounts', () => {
  it.each(made?.predictions ?? [])(
    'in $environment are closed to keys, to plain HTTP and to the internet',
    (prediction) => {
      for (const { properties } of ofType(prediction, ACCOUNT)) {
        expect(properties).toMatchObject({
          allowBlobPublicAccess: false, // Azure.Storage.BlobPublicAccess
          allowSharedKeyAccess: false, // Azure.Storage.LocalAuth
          minimumTlsVersion: 'TLS1_2', // Azure.Storage.MinTLS
          supportsHttpsTrafficOnly: true, // Azure.Storage.SecureTransfer
          publicNetworkAccess: 'Disabled',
          networkAcls: { defaultAction: 'Deny', ipRules: [], virtualNetworkRules: [] }, // Azure.Storage.Firewall
        });
      }
      // Azure.Storage.BlobAccessType
      for (const { properties } of ofType(prediction, CONTAINER))
        expect(properties['publicAccess']).toBe('None');
      // Azure.Storage.SoftDelete, Azure.Storage.ContainerSoftDelete
      for (const { properties } of ofType(prediction, `${ACCOUNT}/blobServices`)) {
        expect(properties).toMatchObject({
          deleteRetentionPolicy: { enabled: true },
          containerDeleteRetentionPolicy: { enabled: true },
        });
      }
    },
  );

  it.each(made?.predictions ?? [])('in $environment: the host’s account is another one', (prediction) => {
    const others = [evidenceOf(prediction).id, exportsOf(prediction)?.id];
    const hosts = ofType(prediction, ACCOUNT).filter((one) => !others.includes(one.id));
    expect(hosts).toHaveLength(1);
    const roles = ofType(prediction, 'Microsoft.Authorization/roleAssignments')
      .filter((one) => one.id.startsWith(`${hosts[0]?.id ?? ''}/`))
      .map((one) => String(one.properties['roleDefinitionId']).split('/').at(-1));
    // Storage Blob Data Owner, Queue Data Contributor, Table Data Contributor
    expect(roles.sort()).toEqual([
      '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3',
      '974c5e8b-45b9-4653-ba55-5f855dd0fb88',
      'b7e6dc6d-f1e8-4753-8033-0f276bb0955b',
    ]);
  });
});

describe.runIf(made !== undefined)('exports', () => {
  it.each(made?.predictions ?? [])(
    'in $environment have an account of their own, where the app makes and deletes containers',
    (prediction) => {
      const account = exportsOf(prediction);
      const roles = ofType(prediction, 'Microsoft.Authorization/roleAssignments')
        .filter((one) => one.id.startsWith(`${account?.id ?? 'none'}/`))
        .map((one) => String(one.properties['roleDefinitionId']).split('/').at(-1));
      expect(roles).toEqual([CONTRIBUTOR]);
      const [blobs] = ofType(prediction, `${ACCOUNT}/blobServices`).filter((one) =>
        one.id.startsWith(`${account?.id ?? 'none'}/`),
      );
      // What is deleted is in clear, and perhaps of an erased tenant.
      expect(blobs?.properties).toMatchObject({
        deleteRetentionPolicy: { days: 1 },
        containerDeleteRetentionPolicy: { days: 1 },
        isVersioningEnabled: false,
      });
    },
  );
});

describe.runIf(made !== undefined)('evidence', () => {
  it.each(made?.predictions ?? [])(
    'in $environment has the containers of the code, one a class',
    (prediction) => {
      const containers = containersOf(prediction);
      expect([...containers.keys()].sort()).toEqual([...RETENTION_CLASSES].sort());
      expect([...containers.values()].sort()).toEqual(Object.values(CONTAINERS).sort());
      expect(containers.get('mapping_results')).toBe(CONTAINERS.records);
      expect(containers.get('audit_logs')).toBe(CONTAINERS.auditLogs);
      expect(containers.get('model_artifacts')).toBe(CONTAINERS.models);
      expect(containers.get('backups')).toBe(CONTAINERS.backups);
      expect(containers.get('training_data')).toBe(CONTAINERS.trainingData);
    },
  );

  it.each(made?.predictions ?? [])(
    'in $environment: the app may read and write in each container, and nothing else',
    (prediction) => {
      const { id } = evidenceOf(prediction);
      const given = ofType(prediction, 'Microsoft.Authorization/roleAssignments')
        .filter((one) => one.id.startsWith(`${id}/blobServices/`))
        .map(
          (one) =>
            `${/containers\/([^/]+)/.exec(one.id)?.[1] ?? ''}: ${String(one.properties['roleDefinitionId']).split('/').at(-1) ?? ''}`,
        );
      expect(given.sort()).toEqual(
        Object.values(CONTAINERS)
          .map((name) => `${name}: ${CONTRIBUTOR}`)
          .sort(),
      );
      // On the account itself only the Backup vault has a role.
      const onAccount = ofType(prediction, 'Microsoft.Authorization/roleAssignments').filter((one) =>
        one.id.startsWith(`${id}/providers/`),
      );
      expect(onAccount.map((one) => String(one.properties['roleDefinitionId']).split('/').at(-1))).toEqual([
        'e5e2a7ff-d759-4cd2-bb51-3152d37e2eb1', // Storage Account Backup Contributor
      ]);
    },
  );

  it.each(made?.predictions ?? [])(
    'in $environment: what is kept for 7 years cannot be changed in that time',
    (prediction) => {
      const containers = containersOf(prediction);
      const sevenYears = RETENTION_CLASSES.filter((one) => longestDays(one) > 2_000);
      expect(sevenYears).toEqual(['mapping_results', 'audit_logs']);
      if (prediction.parameters['evidenceImmutability'] === 'locked') return;
      const policies = below(prediction, `${CONTAINER}/immutabilityPolicies`);
      const protectedOnes = policies.map((one) => /containers\/([^/]+)/.exec(one.id)?.[1]);
      expect(protectedOnes.sort()).toEqual(sevenYears.map((one) => containers.get(one)).sort());
      for (const { properties } of policies) {
        expect(properties['immutabilityPeriodSinceCreationInDays']).toBeGreaterThanOrEqual(2555);
        // The longest that the code keeps one, and not longer: a refused deletion is tried again every day.
        expect(properties['immutabilityPeriodSinceCreationInDays']).toBe(longestDays('mapping_results'));
        expect(properties['allowProtectedAppendWrites']).toBe(false);
      }
    },
  );

  it.each(made?.predictions ?? [])(
    'in $environment keeps versions, and no restore that immutability excludes',
    (prediction) => {
      const [blobs] = below(prediction, `${ACCOUNT}/blobServices`);
      expect(blobs?.properties).toMatchObject({ isVersioningEnabled: true, changeFeed: { enabled: true } });
      expect(at(blobs?.properties, 'restorePolicy.enabled')).toBeUndefined();
    },
  );

  it.each(made?.predictions ?? [])('in $environment: the account has the archive tier', (prediction) => {
    // Zone-redundant kinds do not.
    expect(['Standard_LRS', 'Standard_GRS', 'Standard_RAGRS']).toContain(
      at(evidenceOf(prediction).whole['sku'], 'name'),
    );
  });

  it('is replicated to another region in prod', () => {
    const prod = (made as NonNullable<typeof made>).of('prod');
    // Azure.Storage.UseReplication
    expect(['Standard_GRS', 'Standard_RAGRS']).toContain(at(evidenceOf(prod).whole['sku'], 'name'));
  });
});

describe.runIf(made !== undefined)('the lifecycle of evidence', () => {
  const rulesOf = (prediction: Prediction) => {
    const [policy] = below(prediction, `${ACCOUNT}/managementPolicies`);
    return at(policy?.properties, 'policy.rules') as { name: string; definition: unknown }[];
  };
  const ruleOf = (prediction: Prediction, retentionClass: RetentionClass) =>
    rulesOf(prediction).find((one) => one.name === retentionClass.replaceAll('_', ''));

  describe.each(made?.predictions ?? [])('in $environment', (prediction) => {
    it.each(RETENTION_CLASSES)('%s: the same tiers on the same days as in the code', (retentionClass) => {
      const rule = ruleOf(prediction, retentionClass);
      expect(at(rule, 'definition.filters')).toEqual({
        blobTypes: ['blockBlob'],
        prefixMatch: [`${containersOf(prediction).get(retentionClass) ?? ''}/`],
      });
      const actions = at(rule, 'definition.actions.baseBlob');
      expect(at(actions, 'tierToCool.daysAfterCreationGreaterThan')).toBe(dayOf(retentionClass, 'Cool'));
      expect(at(actions, 'tierToArchive.daysAfterCreationGreaterThan')).toBe(
        dayOf(retentionClass, 'Archive'),
      );
      expect(dayOf(retentionClass, 'Cold')).toBeUndefined();
    });

    it.each(RETENTION_CLASSES)(
      '%s: no blob is deleted by it, because it knows no legal hold',
      (retentionClass) => {
        expect(
          Object.keys(at(ruleOf(prediction, retentionClass), 'definition.actions.baseBlob') ?? {}),
        ).not.toContain('delete');
      },
    );

    it('has a rule for each class, and no other', () => {
      expect(rulesOf(prediction)).toHaveLength(RETENTION_CLASSES.length);
    });
  });
});

describe.runIf(made !== undefined)('the Backup vault', () => {
  it.each(made?.predictions ?? [])('in $environment copies every container of evidence', (prediction) => {
    const [vault] = ofType(prediction, 'Microsoft.DataProtection/backupVaults');
    expect(vault?.properties).toMatchObject({
      securitySettings: {
        softDeleteSettings: { state: expect.stringMatching(/^(On|AlwaysOn)$/) as unknown },
        immutabilitySettings: { state: expect.stringMatching(/^(Unlocked|Locked)$/) as unknown }, // Azure.BV.Immutable
      },
    });
    const [policy] = ofType(prediction, 'Microsoft.DataProtection/backupVaults/backupPolicies');
    const rules = at(policy?.properties, 'policyRules') as unknown[];
    // A copy in the vault. An operational backup is point-in-time restore, which immutability excludes.
    expect(
      rules.map(
        (rule) =>
          at(rule, 'dataStore.dataStoreType') ?? at(rule, 'lifecycles.0.sourceDataStore.dataStoreType'),
      ),
    ).toEqual(['VaultStore', 'VaultStore']);
    const [instance] = ofType(prediction, 'Microsoft.DataProtection/backupVaults/backupInstances');
    expect(at(instance?.properties, 'dataSourceInfo.resourceID')).toBe(evidenceOf(prediction).id);
  });
});

describe.runIf(made !== undefined)('when a person has locked the policies of prod', () => {
  it('the template writes none, because Azure refuses to write a locked one, and reads their state', () => {
    const types = locked?.resources.map((one) => one.type) ?? [];
    expect(types).toContain(CONTAINER);
    expect(types).not.toContain(`${CONTAINER}/immutabilityPolicies`);
    const storage = templatesIn(made?.template ?? {}).find(({ name }) => name.endsWith('/storage'));
    const states = JSON.stringify(at(storage?.template['outputs'], 'immutabilityPolicies'));
    expect(states).toMatch(/'lockedPolicy|reference\(/);
  });
});
