/** What a persistent subscription says no with, as clients know it. */
import { CallFailed, status } from './server-status.ts';

/** `stream` is `$all` for groups of everything. */
export type GroupName = { readonly stream: string; readonly group: string };

export const groupKey = ({ stream, group }: GroupName) => `${stream}::${group}`;

const trailers = (exception: string, { stream, group }: GroupName) => ({
  exception,
  'stream-name': stream,
  'group-name': group,
});

export function subscriptionFailed(name: GroupName, reason: string): CallFailed {
  const message = `Subscription group ${name.group} on stream ${name.stream} failed: '${reason}'`;
  return new CallFailed(status.internal, message, {
    ...trailers('persistent-subscription-failed', name),
    reason,
  });
}

export function subscriptionUnknown(name: GroupName): CallFailed {
  const message = `Subscription group ${name.group} on stream ${name.stream} does not exist.`;
  return new CallFailed(status.notFound, message, trailers('persistent-subscription-does-not-exist', name));
}

export function subscriptionExists(name: GroupName): CallFailed {
  const message = `Subscription group ${name.group} on stream ${name.stream} exists.`;
  return new CallFailed(status.alreadyExists, message, trailers('persistent-subscription-exists', name));
}

export function subscriptionDropped(name: GroupName): CallFailed {
  const message = `Subscription group ${name.group} on stream ${name.stream} was dropped.`;
  return new CallFailed(status.cancelled, message, trailers('persistent-subscription-dropped', name));
}

export function subscribersReached(name: GroupName): CallFailed {
  const message = `Maximum subscriptions reached for subscription group ${name.group} on stream ${name.stream}.`;
  return new CallFailed(status.failedPrecondition, message, trailers('maximum-subscribers-reached', name));
}
