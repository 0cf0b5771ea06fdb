/** Whether a caller may do something to a stream. Without users everybody may do everything. */
import type { Caller } from './server-call.ts';

export type Operation = 'read' | 'write' | 'delete' | 'readMetadata' | 'writeMetadata';

export type Access = {
  /** Throws or rejects with AccessDenied. Undefined: allowed at once. */
  check(caller: Caller, operation: Operation, stream: string): Promise<void> | undefined;
  /** Throws AccessDenied unless the caller is an administrator (or `alsoGroup`). */
  checkAdmin(caller: Caller, alsoGroup?: string): void;
};

export const openAccess: Access = { check: () => undefined, checkAdmin: () => undefined };
