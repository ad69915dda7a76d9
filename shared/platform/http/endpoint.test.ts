import { expect, it } from 'vitest';
import { noContent } from '../call/reply.ts';
import { endpoint } from './endpoint.ts';
import { tenantParams } from './fields.ts';

it('a route that works for the tenant in its path can be declared only for operators', () => {
  const declare = (permission: 'config:read' | 'platform:operate') =>
    endpoint({
      name: 'things-list',
      method: 'GET',
      path: 'v1/platform/tenants/{tenant_id}/things',
      tag: 'things',
      summary: 'List things',
      permission,
      forNamedTenant: true,
      params: tenantParams,
      responses: { 204: { description: 'Nothing.' } },
      run: () => Promise.resolve(noContent),
    });
  expect(declare('platform:operate').forNamedTenant).toBe(true);
  expect(() => declare('config:read')).toThrow('needs platform:operate');
});

it('a route can be open to erased tenants only if its path names the tenant', () => {
  const declare = (forNamedTenant: boolean) =>
    endpoint({
      name: 'things-list',
      method: 'GET',
      path: 'v1/platform/tenants/{tenant_id}/things',
      tag: 'things',
      summary: 'List things',
      permission: 'platform:operate',
      forNamedTenant,
      openToErased: true,
      params: tenantParams,
      responses: { 204: { description: 'Nothing.' } },
      run: () => Promise.resolve(noContent),
    });
  expect(declare(true).openToErased).toBe(true);
  expect(() => declare(false)).toThrow('names no tenant');
});
