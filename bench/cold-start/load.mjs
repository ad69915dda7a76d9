// Loads a built app as Azure's Node worker does. Prints when all its functions were registered and when a first request was
// answered, in ms since the process began. Its own time is part of both measurements, so it is short, plain JavaScript.
import Module from 'node:module';
import { pathToFileURL } from 'node:url';

const [, , main, name, given = '{}'] = process.argv;
const callbacks = new Map();
const startHooks = [];
let model;
const core = {
  version: '3.0.0',
  hostVersion: '4.0.0',
  Disposable: class {},
  registerFunction: (metadata, callback) => {
    callbacks.set(metadata.name, callback);
    return {};
  },
  registerHook: (name, hook) => {
    if (name === 'appStart') startHooks.push(hook);
    return {};
  },
  setProgrammingModel: (given) => (model = given),
  getProgrammingModel: () => model,
  log: () => undefined,
};
const { require: own } = Module.prototype;
Module.prototype.require = function require(id) {
  return id === '@azure/functions-core' ? core : Reflect.apply(own, this, [id]);
};
await import(pathToFileURL(main).href);
const registeredMs = performance.now();
for (const hook of startHooks) await hook({});
const { url = 'http://127.0.0.1/', headers = {}, params = {} } = JSON.parse(given);
const request = { method: 'GET', url, params, headers: new Headers(headers), query: new URLSearchParams() };
const { status } = await callbacks.get(name)(request, {});
const answeredMs = performance.now();
process.stdout.write(`${JSON.stringify({ registeredMs, answeredMs, status, functions: callbacks.size })}\n`);
process.exit(0);
