/** All persistent subscriptions of a log: what is stored of them, and those at work. */
import type { EventLog } from './log.ts';
import {
  type GroupName,
  groupKey,
  subscriptionDropped,
  subscriptionExists,
  subscriptionFailed,
  subscriptionUnknown,
} from './persistent-errors.ts';
import { Group } from './persistent-group.ts';
import { appendNote, jsonRecord, readNote } from './persistent-notes.ts';
import type { Settings } from './persistent-settings.ts';
import { openSource, placeBefore } from './persistent-source.ts';
import { CallFailed, status } from './server-status.ts';

const configStream = '$persistentSubscriptionConfig';
const configType = '$PersistentConfig';
/** All of them are one record of the log, which must not become too large. */
const groupsMax = 1_000;

/** What is stored of a group. */
type Entry = GroupName & { readonly settings: Settings; readonly beginAfter: number };

export class PersistentSubscriptions {
  readonly #log: EventLog;
  readonly #onError: (error: unknown) => void;
  #groups = new Map<string, { entry: Entry; group: Group }>();
  #changing: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(log: EventLog, onError: (error: unknown) => void) {
    this.#log = log;
    this.#onError = onError;
  }

  /** Reads which groups there are. */
  async load(): Promise<void> {
    const config = (await readNote(this.#log, configStream)) as { entries?: readonly Entry[] } | undefined;
    for (const entry of config?.entries ?? []) this.#groups.set(groupKey(entry), this.#opened(entry));
  }

  #opened(entry: Entry): { entry: Entry; group: Group } {
    const { stream, group, settings, beginAfter } = entry;
    const name = { stream, group };
    return {
      entry,
      group: new Group({ log: this.#log, name, settings, beginAfter, onError: this.#onError }),
    };
  }

  /** One change after another, each as a whole. */
  #change<T>(work: () => Promise<T>): Promise<T> {
    const changed = this.#changing.then(work);
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  #store(entries: readonly Entry[]): Promise<void> {
    return appendNote(this.#log, configStream, jsonRecord(configType, { version: '2', entries }));
  }

  #entryOf(name: GroupName, settings: Settings): Entry {
    const source = openSource(this.#log, name, settings);
    return { ...name, settings, beginAfter: placeBefore(source, settings.startFrom) };
  }

  create(name: GroupName, settings: Settings): Promise<void> {
    return this.#change(async () => {
      if (this.#groups.has(groupKey(name))) throw subscriptionExists(name);
      if (this.#groups.size >= groupsMax) throw subscriptionFailed(name, `There are ${groupsMax} already.`);
      const entry = this.#entryOf(name, settings);
      await this.#store([...this.#entries(), entry]);
      this.#groups.set(groupKey(name), this.#opened(entry));
    });
  }

  /** Consumers are dropped and have to come again. What has been settled stays so. */
  update(name: GroupName, changed: Settings): Promise<void> {
    return this.#change(async () => {
      const key = groupKey(name);
      const { entry, group } = this.#find(name);
      // An update cannot carry a filter.
      const next = this.#entryOf(name, { ...changed, filter: entry.settings.filter });
      await this.#store(this.#entries().map(one => (groupKey(one) === key ? next : one)));
      await group.stop(subscriptionDropped(name));
      this.#groups.set(key, this.#opened(next));
    });
  }

  delete(name: GroupName): Promise<void> {
    return this.#change(async () => {
      const { group } = this.#find(name);
      const key = groupKey(name);
      await this.#store(this.#entries().filter(one => groupKey(one) !== key));
      this.#groups.delete(key);
      await group.stop(subscriptionUnknown(name));
      await group.remove();
    });
  }

  #entries(): Entry[] {
    return Array.from(this.#groups.values(), ({ entry }) => entry);
  }

  #find(name: GroupName): { entry: Entry; group: Group } {
    const found = this.#groups.get(groupKey(name));
    if (found === undefined) throw subscriptionUnknown(name);
    return found;
  }

  /** Throws the failure that clients know when there is none. */
  get(name: GroupName): Group {
    return this.#find(name).group;
  }

  /** Of a stream or of all. */
  list(stream?: string): Group[] {
    return Array.from(this.#groups.values(), ({ group }) => group).filter(
      ({ name }) => stream === undefined || name.stream === stream,
    );
  }

  /** Drops every consumer and begins again from what is stored. */
  restart(): Promise<void> {
    return this.#change(async () => {
      const entries = this.#entries();
      await this.#stopAll(({ name }) => subscriptionDropped(name));
      if (this.#closed) return;
      this.#groups = new Map(entries.map(entry => [groupKey(entry), this.#opened(entry)]));
    });
  }

  /** Notes what has been settled. */
  close(): Promise<void> {
    this.#closed = true;
    return this.#change(() =>
      this.#stopAll(() => new CallFailed(status.unavailable, 'The event log is closing.')),
    );
  }

  async #stopAll(failureOf: (group: Group) => CallFailed): Promise<void> {
    await Promise.all(this.list().map(group => group.stop(failureOf(group))));
  }
}
