import type { Endpoint } from '../../shared/platform/http/endpoint.ts';
import { resourceEndpoints } from '../../shared/platform/resources/resource-endpoints.ts';
import { registerEndpoints } from '../../functions/register.ts';
import { processServices } from '../../functions/services.ts';
import { fixtureEndpoints } from './endpoints.ts';
import { fixtureResources } from './resources.ts';

// A composition root like the app's, with features that the app does not use yet. Tests build and host it like the app.
const endpoints: readonly Endpoint[] = [
  ...fixtureEndpoints(
    () => processServices().settings.DEPLOYMENT_ENVIRONMENT,
    () => endpoints,
  ),
  ...resourceEndpoints(fixtureResources),
];

registerEndpoints(endpoints, processServices);
