// Loads a built app as Azure's Node worker does and says how long that took since the process began, in ms.
// Plain JavaScript, and as little of it as can be: what it costs would be in both sides of the ratio.
import Module from 'node:module';
import { pathToFileURL } from 'node:url';

let registered = 0;
let model;
const core = {
  version: '3.0.0',
  hostVersion: '4.0.0',
  Disposable: class {},
  registerFunction: () => {
    registered += 1;
    return {};
  },
  registerHook: () => ({}),
  setProgrammingModel: (given) => (model = given),
  getProgrammingModel: () => model,
  log: () => undefined,
};
const { require: own } = Module.prototype;
Module.prototype.require = function require(id) {
  return id === '@azure/functions-core' ? core : Reflect.apply(own, this, [id]);
};
await import(pathToFileURL(process.argv[2]).href);
process.stdout.write(`${JSON.stringify({ ms: performance.now(), registered })}\n`);
process.exit(0);
