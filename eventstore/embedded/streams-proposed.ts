/** What a request to append says, checked and in the log's own terms. */

import type { Codec } from './codec.ts';
import { type streamIdentifier, uuidText } from './codec-streams.ts';
import { type Expected, InvalidRequest } from './log-errors.ts';
import { CallFailed, status } from './server-status.ts';
import type { NewRecord } from './storage.ts';

type Identifier = typeof streamIdentifier extends Codec<infer T> ? T : never;
type Options = {
  readonly revision: number | undefined;
  readonly noStream: object | undefined;
  readonly any: object | undefined;
  readonly streamExists: object | undefined;
};
type Proposed = {
  readonly id: Parameters<typeof uuidText>[0];
  readonly metadata: Map<string, string>;
  readonly custom: Buffer;
  readonly data: Buffer;
};

/** The stream's name; no name is a bad request. */
export function streamName(identifier: Identifier | undefined): string {
  if (identifier === undefined || identifier.name === '') throw new InvalidRequest('A stream needs a name.');
  return identifier.name;
}

export function expectedOf(options: Options): Expected {
  if (options.revision !== undefined) return options.revision;
  if (options.noStream !== undefined) return 'noStream';
  if (options.streamExists !== undefined) return 'streamExists';
  if (options.any !== undefined) return 'any';
  throw new InvalidRequest('An append needs an expected revision.');
}

export function newRecord(proposed: Proposed): NewRecord {
  const id = uuidText(proposed.id);
  if (id === undefined) throw new InvalidRequest('The id of an event has to be a UUID.');
  const type = proposed.metadata.get('type');
  const contentType = proposed.metadata.get('content-type');
  if (type === undefined || contentType === undefined) {
    throw new CallFailed(status.invalidArgument, 'Required Metadata Property is missing.', {
      exception: 'missing-required-metadata-property',
      'required-metadata-properties': 'type,content-type',
    });
  }
  if (contentType !== 'application/json' && contentType !== 'application/octet-stream') {
    throw new InvalidRequest(`The content type '${contentType}' is not known.`);
  }
  return { id, type, contentType, data: proposed.data, metadata: proposed.custom };
}
