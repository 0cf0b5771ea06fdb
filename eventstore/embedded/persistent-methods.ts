/** PersistentSubscriptions as a service: requests checked, handed to the groups, and answered. */
import { type Codec, empty } from './codec.ts';
import {
  persistentConfigureRequest,
  persistentDeleteRequest,
  persistentInfoRequest,
  persistentInfoResponse,
  persistentListRequest,
  persistentListResponse,
  persistentReadRequest,
  persistentReadResponse,
  persistentReplayRequest,
} from './codec-persistent.ts';
import { type streamIdentifier, uuidText } from './codec-streams.ts';
import { InvalidRequest } from './log-errors.ts';
import type { Consumer } from './persistent-consumer.ts';
import { type GroupName, groupKey, subscriptionFailed } from './persistent-errors.ts';
import { type Group, nackActions } from './persistent-group.ts';
import { infoOf } from './persistent-info.ts';
import { settingsOf } from './persistent-settings.ts';
import { allStream } from './persistent-source.ts';
import type { PersistentSubscriptions } from './persistent-subscriptions.ts';
import type { Access } from './server-access.ts';
import { type Call, type Method, unary } from './server-call.ts';
import { Frames } from './streams-frames.ts';
import { streamName } from './streams-proposed.ts';
import { opsGroup } from './users.ts';

const slotsMax = 10_000;

type Identifier = typeof streamIdentifier extends Codec<infer T> ? T : never;
type Request = typeof persistentReadRequest extends Codec<infer T> ? T : never;
type Configured = NonNullable<
  (typeof persistentConfigureRequest extends Codec<infer T> ? T : never)['options']
>;
type Named = {
  readonly stream: Identifier | undefined;
  readonly all: object | undefined;
  readonly group: string;
};

function nameOf(options: Named | undefined): GroupName {
  if (options === undefined) throw new InvalidRequest('A persistent subscription needs a name.');
  const { stream, all, group } = options;
  const name = { stream: all === undefined ? streamName(stream) : allStream, group };
  if (group === '') throw subscriptionFailed(name, 'A group needs a name.');
  if (all === undefined && name.stream === allStream) throw subscriptionFailed(name, '$all is no stream.');
  return name;
}

function configured(options: Configured | undefined): Configured & { readonly name: GroupName } {
  const stream = options?.ofStream?.stream ?? options?.stream;
  const name = nameOf(options && { stream, all: options.ofAll, group: options.group });
  return { ...(options as Configured), name };
}

/** Every method by its path. */
export function persistentMethods(
  subscriptions: PersistentSubscriptions,
  access: Access,
): [string, Method][] {
  const managing = <I, O>(
    request: Codec<I>,
    response: Codec<O>,
    handle: (request: I) => Promise<Parameters<Codec<O>['frame']>[0]>,
  ): Method =>
    unary(request, response, (asked, call) => {
      access.checkAdmin(call.caller, opsGroup);
      return handle(asked);
    });
  const done = async (work: Promise<unknown>) => {
    await work;
    return {};
  };
  const methods: Readonly<Record<string, Method>> = {
    Create: managing(persistentConfigureRequest, empty, async ({ options }) => {
      const asked = configured(options);
      return done(subscriptions.create(asked.name, settingsOf(asked.name, asked)));
    }),
    Update: managing(persistentConfigureRequest, empty, async ({ options }) => {
      const asked = configured(options);
      return done(subscriptions.update(asked.name, settingsOf(asked.name, asked)));
    }),
    Delete: managing(persistentDeleteRequest, empty, async ({ options }) =>
      done(subscriptions.delete(nameOf(options))),
    ),
    ReplayParked: managing(persistentReplayRequest, empty, async ({ options }) =>
      done(subscriptions.get(nameOf(options)).replay(stopOf(options?.stopAt))),
    ),
    GetInfo: managing(persistentInfoRequest, persistentInfoResponse, async ({ options }) => ({
      info: await infoOf(subscriptions.get(nameOf(options))),
    })),
    List: managing(persistentListRequest, persistentListResponse, async ({ options }) => {
      const stream = listedStream(options?.of);
      const infos = await Promise.all(subscriptions.list(stream).map(infoOf));
      return { infos };
    }),
    RestartSubsystem: managing(empty, empty, async () => done(subscriptions.restart())),
    Read: readMethod(subscriptions, access),
  };
  const service = '/event_store.client.persistent_subscriptions.PersistentSubscriptions';
  return Object.entries(methods).map(([name, method]) => [`${service}/${name}`, method]);
}

function stopOf(stopAt: number | undefined): number | undefined {
  if (stopAt !== undefined && stopAt < 0) throw new InvalidRequest('A replay cannot stop below 0.');
  return stopAt;
}

function listedStream(of: Pick<Named, 'stream' | 'all'> | undefined): string | undefined {
  if (of === undefined) return undefined;
  return of.all === undefined ? streamName(of.stream) : allStream;
}

function readMethod(subscriptions: PersistentSubscriptions, access: Access): Method {
  return async call => {
    let joined: { readonly group: Group; readonly consumer: Consumer } | undefined;
    try {
      for await (const messages of call.messages()) {
        for (const bytes of messages) {
          const request = persistentReadRequest.decode(bytes);
          if (joined === undefined) joined = await join(subscriptions, access, call, request);
          else answered(joined.group, joined.consumer, request);
        }
      }
    } finally {
      joined?.group.leave(joined.consumer);
    }
  };
}

function answered(group: Group, consumer: Consumer, { ack, nack }: Request): void {
  const idsOf = (ids: readonly Parameters<typeof uuidText>[0][]) =>
    ids.map(uuidText).filter(id => id !== undefined);
  if (ack !== undefined) group.ack(consumer, idsOf(ack.ids));
  if (nack === undefined) return;
  const action = nackActions[nack.action];
  if (action === undefined) throw new InvalidRequest(`There is no action ${nack.action}.`);
  group.nack(consumer, idsOf(nack.ids), action, nack.reason);
}

let consumersEver = 0;

async function join(
  subscriptions: PersistentSubscriptions,
  access: Access,
  call: Call,
  { options }: Request,
): Promise<{ readonly group: Group; readonly consumer: Consumer }> {
  if (options === undefined) throw new InvalidRequest('The first message has to be the options.');
  const name = nameOf(options);
  await access.check(call.caller, 'read', name.stream);
  const group = subscriptions.get(name);
  if (options.bufferSize <= 0) throw new InvalidRequest('The buffer has to hold one message at least.');
  await group.open();
  const structuredIds = options.uuids?.structured !== undefined;
  const consumer: Consumer = {
    number: ++consumersEver,
    user: call.caller?.name ?? 'anonymous',
    from: call.peer,
    connectionName: String(call.headers['connection-name'] ?? ''),
    slots: Math.min(options.bufferSize, slotsMax),
    inFlight: new Map(),
    keys: new Map(),
    sinceMs: Date.now(),
    answered: { count: 0, recentMs: [] },
    atMeasurement: 0,
    send({ record, event, retries }) {
      const frames = new Frames(0, structuredIds);
      if (event === undefined) frames.event(record, undefined, retries);
      else frames.event(event, record, retries);
      call.sendSoon(frames.taken());
    },
    drop: call.fail,
  };
  call.sendSoon(persistentReadResponse.frame({ confirmation: { id: groupKey(name) } }));
  group.join(consumer);
  return { group, consumer };
}
