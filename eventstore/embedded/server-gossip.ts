/** Gossip of a cluster of one, so that clients which discover their cluster find this node as its leader. */
import { bool, int, message, nested, repeated, string, uint } from './codec.ts';
import { uuid } from './codec-streams.ts';
import { type Method, onlyMessage } from './server-call.ts';

const endPoint = message({ address: string(1), port: uint(2) });
const member = message({
  instance: nested(1, uuid),
  timeStamp: int(2),
  state: uint(3),
  isAlive: bool(4),
  endPoint: nested(5, endPoint),
});
const clusterInfo = message({ members: repeated(nested(1, member)) });
const leader = 8;
const ticksPerMs = 10_000;

/** The address is the one the client has used (`:authority`), so it is right behind any proxy too. */
export function gossipMethod(instance: string, port: () => number): Method {
  return async call => {
    await onlyMessage(call);
    const { address, port: usedPort } = authority(String(call.headers[':authority'] ?? ''), port());
    call.send(
      clusterInfo.frame({
        members: [
          {
            instance: { text: instance },
            timeStamp: Date.now() * ticksPerMs,
            state: leader,
            isAlive: true,
            endPoint: { address, port: usedPort },
          },
        ],
      }),
    );
  };
}

function authority(text: string, portDefault: number): { address: string; port: number } {
  const [, address, digits] = /^(.+?)(?::(\d+))?$/.exec(text) ?? [];
  return { address: address ?? '127.0.0.1', port: digits === undefined ? portDefault : Number(digits) };
}
