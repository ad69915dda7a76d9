import type { Resource } from '../../platform/resources/resource.ts';
import { alertConfigs } from './alert-configs.ts';
import { alerts } from './alerts.ts';

/** The domain's declared resources; its routes and their tests follow from this list. */
export const alertResources: readonly Resource[] = [alertConfigs, alerts];
