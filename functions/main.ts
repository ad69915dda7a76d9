import './http/api-docs.ts';
import './http/health.ts';
import './http/mappings.ts';
import { registerFallback } from '../shared/http/endpoint.ts';

registerFallback();
