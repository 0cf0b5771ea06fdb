/** Who calls, and whether a caller may do something to a stream. Without users everybody may do everything. */
import type { IncomingHttpHeaders } from 'node:http2';
import type { EventLog } from './log.ts';
import { AccessDenied } from './log-errors.ts';
import {
  type Acl,
  type AclKey,
  describedStream,
  isMetadataStream,
  parseAcl,
  type StreamMetadata,
} from './log-metadata.ts';
import { readNote } from './persistent-notes.ts';
import type { Caller } from './server-call.ts';
import { CallFailed, status } from './server-status.ts';
import { adminsGroup, type User, type Users } from './users.ts';

type Operation = 'read' | 'write' | 'delete' | 'readMetadata' | 'writeMetadata';

export type Access = {
  /** Who the headers say it is, once that is proven. Throws or rejects with UNAUTHENTICATED. */
  identify(headers: IncomingHttpHeaders): Caller | Promise<Caller>;
  /** Throws or rejects with AccessDenied. Undefined: allowed at once. */
  check(caller: Caller, operation: Operation, stream: string): Promise<void> | undefined;
  /** Throws AccessDenied unless the caller is an administrator (or `alsoGroup`). */
  checkAdmin(caller: Caller, alsoGroup?: string): void;
};

export const openAccess: Access = {
  identify: () => undefined,
  check: () => undefined,
  checkAdmin: () => undefined,
};

const keys = { read: '$r', write: '$w', delete: '$d', readMetadata: '$mr', writeMetadata: '$mw' } as const;
const everybody = '$all';
const settingsStream = '$settings';

/** Access by users and the ACLs of streams. Who has no name may do nothing to a stream. */
export function securedAccess(log: EventLog, users: Users): Access {
  let defaults: { readonly revision: number; readonly acls: DefaultAcls } | undefined;

  async function defaultAcls(): Promise<DefaultAcls> {
    const revision = log.storage.head(settingsStream)?.revision ?? -1;
    if (defaults?.revision === revision) return defaults.acls;
    const acls = revision < 0 ? noAcls : aclsOf(await readNote(log, settingsStream).catch(() => undefined));
    defaults = { revision, acls };
    return acls;
  }

  async function decide(caller: NonNullable<Caller>, key: AclKey, stream: string): Promise<void> {
    const { acl }: StreamMetadata = await log.metadata(stream);
    const { userStream, systemStream } = await defaultAcls();
    const isSystem = stream.startsWith('$');
    const usual = isSystem ? (systemStream[key] ?? [adminsGroup]) : (userStream[key] ?? [everybody]);
    const names = acl?.[key] ?? usual;
    const own = [everybody, caller.name, ...caller.groups];
    if (!names.some(name => own.includes(name))) throw new AccessDenied();
  }

  return {
    identify(headers) {
      const { authorization } = headers;
      if (authorization === undefined) return undefined;
      const [, encoded] = /^basic ([\w+/=]+)$/i.exec(authorization) ?? [];
      const text = Buffer.from(encoded ?? '', 'base64').toString('utf8');
      const colon = text.indexOf(':');
      if (colon < 1) throw unauthenticated();
      const found = users.verify(text.slice(0, colon), text.slice(colon + 1));
      return found instanceof Promise ? found.then(callerOf) : callerOf(found);
    },
    check(caller, operation, stream) {
      if (caller === undefined) throw new AccessDenied();
      if (caller.groups.includes(adminsGroup)) return undefined;
      const described = isMetadataStream(stream) ? describedStream(stream) : stream;
      return decide(caller, keys[operation], described);
    },
    checkAdmin(caller, alsoGroup) {
      const groups = caller?.groups ?? [];
      if (groups.includes(adminsGroup) || (alsoGroup !== undefined && groups.includes(alsoGroup))) return;
      throw new AccessDenied();
    },
  };
}

function callerOf(user: User | undefined): Caller {
  if (user === undefined) throw unauthenticated();
  return { name: user.loginName, groups: user.groups };
}

const unauthenticated = () =>
  new CallFailed(status.unauthenticated, 'The name or the password is wrong.', {
    exception: 'not-authenticated',
  });

type DefaultAcls = { readonly userStream: Acl; readonly systemStream: Acl };
const noAcls: DefaultAcls = { userStream: {}, systemStream: {} };

/** `$settings` names what counts for streams without an ACL of their own. */
function aclsOf(settings: unknown): DefaultAcls {
  if (typeof settings !== 'object' || settings === null) return noAcls;
  const { $userStreamAcl, $systemStreamAcl } = settings as Record<string, unknown>;
  return { userStream: parseAcl($userStreamAcl) ?? {}, systemStream: parseAcl($systemStreamAcl) ?? {} };
}
