/**
 * The users of a secured log. Each is a stream of the log itself, `$user-<login>`, of which the newest event counts;
 * passwords are kept as scrypt hashes only.
 */
import { hash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import type { EventLog } from './log.ts';
import { InvalidRequest, StreamNotFound } from './log-errors.ts';
import { metadataStream, metadataType } from './log-metadata.ts';
import { jsonRecord } from './persistent-notes.ts';
import { CallFailed, status } from './server-status.ts';
import { decodeRecordedEvent, tombstoneRevision } from './wire-record.ts';

type Secret = { readonly hash: string; readonly salt: string };
export type User = Secret & {
  readonly loginName: string;
  readonly fullName: string;
  readonly groups: readonly string[];
  readonly disabled: boolean;
  /** When it was last changed; taken from the event, not stored in it. */
  readonly changedMs: number;
};

export const adminsGroup = '$admins';
export const opsGroup = '$ops';
const adminName = 'admin';
const listStream = '$users';
const userStream = (loginName: string) => `$user-${loginName}`;
const namePattern = /^[^\s$:/][^\s:/]{0,99}$/;
const passwordCharsMax = 1_000;
const usersMax = 10_000;
/** Of scrypt, about 60 ms each: OWASP's recommendation for it is 2^17, which a server that checks many has no memory for. */
const cost = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const;
const hashBytes = 32;
/** More than these at once only take memory and threads from everybody else. */
const hashesAtOnceMax = 2;
const hashesWaitingMax = 256;
const verifiedMax = 1_000;

export class Users {
  readonly #log: EventLog;
  /** Credentials that were right, by a hash of them; worth as long as the user has not been changed. */
  readonly #verified = new Map<string, { readonly user: User; readonly revision: number }>();
  readonly #verifying = new Map<string, Promise<User | undefined>>();
  readonly #key = randomBytes(32).toString('hex');
  readonly #hashes = new Turns(hashesAtOnceMax, hashesWaitingMax);

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** The two users that every secured log has. Passwords count only when they are made. */
  async ensureDefaults(passwords: { readonly admin: string; readonly ops: string }): Promise<void> {
    const defaults = [
      [adminName, 'Administrator', adminsGroup, passwords.admin],
      ['ops', 'Operations', opsGroup, passwords.ops],
    ] as const;
    for (const [loginName, fullName, group, password] of defaults) {
      if ((await this.find(loginName)) !== undefined) continue;
      await this.create({ loginName, fullName, groups: [group], password });
    }
  }

  async find(loginName: string): Promise<User | undefined> {
    if (!namePattern.test(loginName)) return undefined;
    try {
      const { records } = await this.#log.readStream(
        userStream(loginName),
        tombstoneRevision,
        'backwards',
        1,
        1,
      );
      const [newest] = records;
      if (newest === undefined) return undefined;
      const stored = JSON.parse(Buffer.from(decodeRecordedEvent(newest.wire).data).toString('utf8'));
      return { ...stored, changedMs: newest.createdMs };
    } catch (error) {
      if (error instanceof StreamNotFound) return undefined;
      throw error;
    }
  }

  /** Throws the failure that clients know. */
  async get(loginName: string): Promise<User> {
    const user = await this.find(loginName);
    if (user !== undefined) return user;
    const trailers = { exception: 'user-not-found', 'login-name': loginName };
    throw new CallFailed(status.notFound, `User '${loginName}' is not found.`, trailers);
  }

  async list(): Promise<readonly User[]> {
    const names = new Set<string>();
    try {
      for (let next: number | undefined = 0; next !== undefined && names.size < usersMax; ) {
        const page = await this.#log.readStream(listStream, next, 'forwards', 500, 1024 * 1024);
        for (const { wire } of page.records) {
          names.add(Buffer.from(decodeRecordedEvent(wire).data).toString('utf8'));
        }
        next = page.next;
      }
    } catch (error) {
      if (!(error instanceof StreamNotFound)) throw error;
    }
    const found = await Promise.all([...names].map(name => this.find(name)));
    return found.filter(user => user !== undefined);
  }

  async create(asked: {
    loginName: string;
    fullName: string;
    groups: readonly string[];
    password: string;
  }): Promise<void> {
    const { loginName, fullName, groups, password } = asked;
    if (!namePattern.test(loginName)) throw new InvalidRequest(`'${loginName}' cannot be a login name.`);
    if ((await this.find(loginName)) !== undefined) {
      const trailers = { exception: 'user-conflict', 'login-name': loginName };
      throw new CallFailed(status.alreadyExists, `User '${loginName}' exists already.`, trailers);
    }
    const secret = await this.#secretOf(password);
    const user = { loginName, fullName, groups: [...groups], disabled: false, ...secret };
    await this.#store('$UserCreated', user, 'noStream');
    const named = { ...jsonRecord('$User', ''), data: Buffer.from(loginName) };
    await this.#log.append(listStream, 'any', [{ ...named, contentType: 'application/octet-stream' }]);
  }

  /** Changes what is given. */
  async change(
    loginName: string,
    changes: Partial<Pick<User, 'fullName' | 'groups' | 'disabled'>> & { readonly password?: string },
  ): Promise<void> {
    const { changedMs: _, ...user } = await this.get(loginName);
    const { password, ...others } = changes;
    if (others.disabled === true) refuseForAdmin(loginName);
    const secret = password === undefined ? {} : await this.#secretOf(password);
    await this.#store('$UserUpdated', { ...user, ...others, ...secret }, 'any');
  }

  async delete(loginName: string): Promise<void> {
    await this.get(loginName);
    refuseForAdmin(loginName);
    await this.#log.softDelete(userStream(loginName), 'any');
  }

  async #store(type: string, user: Omit<User, 'changedMs'>, expected: 'noStream' | 'any'): Promise<void> {
    const stream = userStream(user.loginName);
    await this.#log.append(stream, expected, [jsonRecord(type, user)]);
    // What was before, above all an older hash, is of no use any more.
    if ((await this.#log.metadata(stream)).maxCount === 1) return;
    await this.#log.append(metadataStream(stream), 'any', [jsonRecord(metadataType, { $maxCount: 1 })]);
  }

  async #secretOf(password: string): Promise<Secret> {
    if (password === '' || password.length > passwordCharsMax)
      throw new InvalidRequest(`A password has 1 to ${passwordCharsMax} characters.`);
    const salt = randomBytes(16).toString('base64');
    return { salt, hash: (await this.#hashOf(password, salt)).toString('base64') };
  }

  #hashOf(password: string, salt: string): Promise<Buffer> {
    return this.#hashes.run(
      () =>
        new Promise<Buffer>((resolve, reject) =>
          scrypt(password, salt, hashBytes, cost, (error, key) => (error ? reject(error) : resolve(key))),
        ),
    );
  }

  /**
   * The user whose name and password these are; undefined when they are not, or when the user is disabled. Takes as long
   * for a name that is not there as for a wrong password. What was right is remembered, not the password itself.
   */
  verify(loginName: string, password: string): User | undefined | Promise<User | undefined> {
    const key = hash('sha256', `${this.#key}\n${loginName}\n${password}`);
    const known = this.#verified.get(key);
    if (known !== undefined && this.#log.storage.head(userStream(loginName))?.revision === known.revision) {
      if (!this.#isDeleted(known.user, known.revision)) return known.user;
    }
    this.#verified.delete(key);
    const running = this.#verifying.get(key);
    if (running !== undefined) return running;
    const verifying = this.#verify(key, loginName, password).finally(() => this.#verifying.delete(key));
    this.#verifying.set(key, verifying);
    return verifying;
  }

  /** Deletion changes the metadata only. */
  #isDeleted({ loginName }: User, revision: number): boolean {
    const metadata = this.#log.metadata(userStream(loginName));
    return metadata instanceof Promise || metadata.truncateBefore > revision;
  }

  async #verify(key: string, loginName: string, password: string): Promise<User | undefined> {
    if (password.length > passwordCharsMax) return undefined;
    const revision = this.#log.storage.head(userStream(loginName))?.revision;
    const user = await this.find(loginName);
    const hashed = await this.#hashOf(password, user?.salt ?? 'nobody');
    const wanted = Buffer.from(user?.hash ?? '', 'base64');
    const isRight = wanted.length === hashed.length && timingSafeEqual(wanted, hashed);
    if (user === undefined || !isRight || user.disabled || revision === undefined) return undefined;
    if (this.#verified.size >= verifiedMax) this.#verified.clear();
    this.#verified.set(key, { user, revision });
    return user;
  }
}

function refuseForAdmin(loginName: string): void {
  if (loginName === adminName) throw new InvalidRequest('The administrator has to stay.');
}

/** So many at once, the others one after another, and no more than can wait. */
class Turns {
  readonly #waiting: (() => void)[] = [];
  readonly #waitingMax: number;
  #free: number;
  constructor(atOnceMax: number, waitingMax: number) {
    this.#free = atOnceMax;
    this.#waitingMax = waitingMax;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else if (this.#waiting.length >= this.#waitingMax) {
      throw new CallFailed(status.resourceExhausted, 'Too many passwords are being checked.');
    } else await new Promise<void>(resolve => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
