import type { ContainerClient, ContainerGetPropertiesResponse } from '@azure/storage-blob';
import { CONTAINERS } from '../../../shared/platform/blob/blob-store.ts';
import { notChecked, ok, problem, warning, type Check, type Finding } from '../check.ts';
import { describeError } from '../describe-error.ts';
import { NotChecked } from '../not-checked.ts';
import type { Patient } from '../patient.ts';
import { openBlobs, statusOf } from './open-blobs.ts';

const NAMES = Object.values(CONTAINERS);

/** The role that the app's identity needs on the account. */
function grant(patient: Patient): string {
  return patient.setting('BLOB_CONNECTION') === undefined
    ? `az role assignment create --role "Storage Blob Data Contributor" --assignee <identity> --scope $(az storage account show --resource-group ${patient.resourceGroup} --name <account> --query id -o tsv)`
    : 'correct the account and the key in BLOB_CONNECTION';
}

async function reach(patient: Patient): Promise<{ finding: Finding; answered: boolean }> {
  const service = await openBlobs(patient);
  const { host } = new URL(service.url);
  const start = performance.now();
  try {
    await service.getContainerClient(CONTAINERS.records).exists();
    return { finding: ok(`${host} answers in ${(performance.now() - start).toFixed(0)} ms`), answered: true };
  } catch (error) {
    const status = statusOf(error);
    if (status === 401 || status === 403)
      return {
        finding: problem(`${host} refuses this identity or key: ${describeError(error)}`, grant(patient)),
        answered: false,
      };
    return {
      finding: problem(
        `${host} does not answer: ${describeError(error)}`,
        patient.isLocal
          ? 'npm start'
          : `az storage account show --resource-group ${patient.resourceGroup} --name ${host.split('.')[0] ?? ''} --query "[statusOfPrimary, publicNetworkAccess]"; then private endpoint and DNS of ${host}`,
      ),
      answered: false,
    };
  }
}

/** Whether the account answers. */
export const blobsReachable: Check = {
  name: 'blobs-reachable',
  group: 'blobs',
  looksAt: 'whether the storage account can be reached with the app’s own connection',
  run: async (patient) => (await reach(patient)).finding,
};

/** Each container, once the account answers. */
async function eachContainer(
  patient: Patient,
  look: (container: ContainerClient) => Promise<Finding>,
): Promise<readonly Finding[]> {
  const service = await openBlobs(patient);
  if (!(await reach(patient)).answered)
    throw new NotChecked('the storage account cannot be used, see blobs-reachable');
  return Promise.all(NAMES.map((name) => look(service.getContainerClient(name))));
}

/** Only a blob of this name would ever be written, and the condition cannot be met: so nothing is. */
const PROBE_NAME = 'doctor/probe';
const IMPOSSIBLE = '"0x0"';

/** Asks for a write that fails by its condition. A service checks rights first, so its refusal tells them apart. */
async function tryWrite(patient: Patient, container: ContainerClient): Promise<Finding> {
  const name = container.containerName;
  const make = `az storage container create --auth-mode login --account-name ${container.accountName} --name ${name}`;
  try {
    await container.getBlockBlobClient(PROBE_NAME).upload('', 0, { conditions: { ifMatch: IMPOSSIBLE } });
    return problem(
      `${name}: the storage wrote a blob against its condition`,
      `use a storage that keeps If-Match, and delete ${PROBE_NAME}`,
    );
  } catch (error) {
    switch (statusOf(error)) {
      case 412:
        return ok(`${name}: there, and may be written`);
      case 404:
        return problem(
          `${name} is missing`,
          patient.isLocal
            ? 'npm start, which makes it'
            : `${make}, with the immutability policy of docs/deployment.md`,
        );
      case 401:
      case 403:
        // The app writes only evidence. The identity needs no right to the other containers.
        if (name !== CONTAINERS.records)
          return notChecked(`${name} is not open to this identity, and the app does not write there`);
        return problem(`${name} may not be written: ${describeError(error)}`, grant(patient));
      case undefined:
      default:
        return problem(
          `${name} cannot be written: ${describeError(error)}`,
          'look at the storage account’s state',
        );
    }
  }
}

/** Whether each container exists and may be written. Writes nothing. */
export const blobContainers: Check = {
  name: 'blob-containers',
  group: 'blobs',
  looksAt: 'whether each container exists and may be written, without a write',
  run: (patient) => eachContainer(patient, (container) => tryWrite(patient, container)),
};

function judgeProtection(name: string, properties: ContainerGetPropertiesResponse): Finding {
  if (properties.blobPublicAccess !== undefined)
    return problem(
      `${name} can be read by anyone`,
      'az storage account update --allow-blob-public-access false',
    );
  const isImmutable =
    properties.hasImmutabilityPolicy === true || properties.isImmutableStorageWithVersioningEnabled === true;
  return isImmutable
    ? ok(`${name}: private, and immutable`)
    : warning(
        `${name}: private, but without an immutability policy: a stolen key could delete evidence`,
        `az storage container immutability-policy create --container-name ${name} --period <days>`,
      );
}

/** Whether evidence is protected against deletion by a stolen identity. */
export const blobProtection: Check = {
  name: 'blob-protection',
  group: 'blobs',
  looksAt: 'whether the containers are private, and that of the evidence immutable',
  async run(patient) {
    if (patient.isLocal) return notChecked('a local storage has no immutability policies');
    const findings = await eachContainer(patient, async (container) => {
      const name = container.containerName;
      try {
        const properties = await container.getProperties();
        const isEvidence = name === CONTAINERS.records || properties.blobPublicAccess !== undefined;
        return isEvidence ? judgeProtection(name, properties) : ok(`${name}: private`);
      } catch (error) {
        return notChecked(`${name} cannot be looked at: ${describeError(error)}`);
      }
    });
    return [
      ...findings,
      notChecked(
        'versioning and soft delete are visible to the management API only',
        `az storage account blob-service-properties show --resource-group ${patient.resourceGroup} --account-name <account> --query "[isVersioningEnabled, deleteRetentionPolicy]"`,
      ),
    ];
  },
};
