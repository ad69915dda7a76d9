import type { z } from 'zod';
import { pointerPart } from '../json/pointer.ts';
import type { Fault } from './problem.ts';

/** Options for parsing what clients send. A missing value is called missing, because JSON has no word "undefined". */
export const PARSING = {
  error: (issue: { readonly input?: unknown }): string | undefined =>
    issue.input === undefined ? 'is required' : undefined,
};

/** The faults of a failed parse, as pointers below a root. */
export function faultsOf(error: z.ZodError, root: string): Fault[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map((part) => pointerPart(String(part)));
    const at = (...more: string[]): string => {
      const pointer = [...path, ...more].join('/');
      return root === '' ? (pointer === '' ? '' : `/${pointer}`) : [root, ...path, ...more].join('/');
    };
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ pointer: at(pointerPart(key)), detail: 'is not a known field' }));
    }
    return [{ pointer: at(), detail: issue.message }];
  });
}
