/** Messages of event_store.client.persistent_subscriptions, by their field numbers. */
import { bool, empty, int, maybe, message, nested, repeated, string, uint } from './codec.ts';
import { filterOptions, logPosition, streamIdentifier, uuid } from './codec-streams.ts';

const ackIds = repeated(nested(2, uuid));
export const persistentReadRequest = message({
  options: nested(
    1,
    message({
      stream: nested(1, streamIdentifier),
      group: string(2),
      bufferSize: int(3),
      uuids: nested(4, message({ structured: nested(1, empty), text: nested(2, empty) })),
      all: nested(5, empty),
    }),
  ),
  ack: nested(2, message({ ids: ackIds })),
  nack: nested(3, message({ ids: ackIds, action: uint(3), reason: string(4) })),
});
/** The first answer; events are put together by hand. */
export const persistentReadResponse = message({ confirmation: nested(2, message({ id: string(1) })) });

const settings = message({
  resolveLinks: bool(1),
  revision: uint(2),
  extraStatistics: bool(3),
  messageTimeoutTicks: maybe(int(4)),
  maxRetryCount: int(5),
  checkpointAfterTicks: maybe(int(6)),
  minCheckpointCount: int(7),
  maxCheckpointCount: int(8),
  maxSubscriberCount: int(9),
  liveBufferSize: int(10),
  readBatchSize: int(11),
  historyBufferSize: int(12),
  strategy: uint(13),
  messageTimeoutMs: maybe(int(14)),
  checkpointAfterMs: maybe(int(15)),
  strategyName: string(16),
});
/** Both to create and to update; an update carries no filter and no name of a strategy. */
export const persistentConfigureRequest = message({
  options: nested(
    1,
    message({
      stream: nested(1, streamIdentifier),
      group: string(2),
      settings: nested(3, settings),
      ofStream: nested(
        4,
        message({
          stream: nested(1, streamIdentifier),
          revision: maybe(uint(2)),
          start: nested(3, empty),
          end: nested(4, empty),
        }),
      ),
      ofAll: nested(
        5,
        message({
          position: nested(1, logPosition),
          start: nested(2, empty),
          end: nested(3, empty),
          filter: nested(4, filterOptions),
        }),
      ),
    }),
  ),
});

export const persistentDeleteRequest = message({
  options: nested(
    1,
    message({ stream: nested(1, streamIdentifier), group: string(2), all: nested(3, empty) }),
  ),
});
export const persistentInfoRequest = message({
  options: nested(
    1,
    message({ stream: nested(1, streamIdentifier), all: nested(2, empty), group: string(3) }),
  ),
});
export const persistentReplayRequest = message({
  options: nested(
    1,
    message({
      group: string(1),
      stream: nested(2, streamIdentifier),
      all: nested(3, empty),
      stopAt: maybe(int(4)),
    }),
  ),
});
export const persistentListRequest = message({
  options: nested(
    1,
    message({
      everything: nested(1, empty),
      of: nested(2, message({ stream: nested(1, streamIdentifier), all: nested(2, empty) })),
    }),
  ),
});

const measurement = message({ key: string(1), value: int(2) });
const connection = message({
  from: string(1),
  user: string(2),
  averagePerSecond: int(3),
  totalItems: int(4),
  countSinceLastMeasurement: int(5),
  measurements: repeated(nested(6, measurement)),
  availableSlots: int(7),
  inFlight: int(8),
  connectionName: string(9),
});
const info = message({
  source: string(1),
  group: string(2),
  status: string(3),
  connections: repeated(nested(4, connection)),
  averagePerSecond: int(5),
  totalItems: int(6),
  countSinceLastMeasurement: int(7),
  lastCheckpoint: string(8),
  lastKnown: string(9),
  resolveLinks: bool(10),
  startFrom: string(11),
  messageTimeoutMs: int(12),
  extraStatistics: bool(13),
  maxRetryCount: int(14),
  liveBufferSize: int(15),
  historyBufferSize: int(16),
  readBatchSize: int(17),
  checkpointAfterMs: int(18),
  minCheckpointCount: int(19),
  maxCheckpointCount: int(20),
  readBuffered: int(21),
  liveBuffered: int(22),
  retryBuffered: int(23),
  inFlight: int(24),
  outstanding: int(25),
  strategy: string(26),
  maxSubscriberCount: int(27),
  parked: int(28),
});
export const persistentInfoResponse = message({ info: nested(1, info) });
export const persistentListResponse = message({ infos: repeated(nested(1, info)) });
