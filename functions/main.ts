import './http/mappings.ts';
import { registerFallback } from '../shared/http/endpoint.ts';

registerFallback();
