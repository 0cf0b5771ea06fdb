/** ServerFeatures: what clients may use. Nothing is announced that is not there. */
import { message, nested, repeated, string } from './codec.ts';
import { type Method, onlyMessage } from './server-call.ts';

/** The version whose protocol this is; clients choose their ways by it. */
export const protocolVersion = '24.10.0';

const methodMessage = message({ method: string(1), service: string(2), features: repeated(string(3)) });
const supportedMethods = message({ methods: repeated(nested(1, methodMessage)), version: string(2) });

const features: Readonly<Record<string, readonly string[]>> = {
  '/event_store.client.streams.streams/read': ['position', 'events'],
  '/event_store.client.streams.streams/batchappend': ['deadline_duration'],
};
const persistentPrefix = '/event_store.client.persistent_subscriptions.';

/** Announces the methods of these paths, `/package.Service/Method`, in lower case as the protocol has it. */
export function featuresMethod(paths: readonly string[]): Method {
  const methods = paths.map(path => {
    const lower = path.toLowerCase();
    const [, service = '', method = ''] = lower.split('/');
    const known = features[lower] ?? (lower.startsWith(persistentPrefix) ? ['stream', 'all'] : []);
    return { method, service, features: known };
  });
  const answer = supportedMethods.frame({ methods, version: protocolVersion });
  return async call => {
    await onlyMessage(call);
    call.send(answer);
  };
}
