/** Every way the platform says no to a well-formed request. One line per code; the HTTP status lives at the edge. */
export const refusals = {
  'not-found': 'There is nothing with this id',
  'already-exists': 'This id is taken',
  archived: 'The app is archived',
  invalid: 'The request is not valid',
  'idempotency/mismatch': 'This Idempotency-Key was used for another request',
  'ingestion/in-progress': 'An ingestion is queued or running',
  'ingestion/not-in-progress': 'No ingestion is queued or running',
  'ingestion/stale-attempt': 'Another attempt has taken over',
  'build/no-commit': 'The app has not been ingested yet, so there is no commit to build',
  'build/already-finished': 'The build has already finished',
  'build/not-finished': 'The build has not finished yet',
  'build/not-started': 'The build has not started yet',
  'build/stale-attempt': 'Another attempt has taken over',
  'build/no-provenance': 'It was not kept what this build was made of',
  'build/released': 'The app is launched with this build',
  'build/no-image': 'The build has made no image',
  'launch/no-image': 'The app has no image that could be launched',
  'launch/image-removed': 'The image of this build was removed, or is being removed',
  'launch/no-earlier-build': 'There is no earlier build to go back to',
  'launch/already-ended': 'The launch has already ended',
  'launch/deploying': 'A container of this launch is being brought up',
  'launch/over-quota': 'The launches have used as much as they may for now',
  'launch/not-starting': 'The launch is not being started',
  'host-name/taken': 'This host name leads to another app',
  'workspace/removed': 'The workspace is deleted, or is being deleted',
  'workspace/other-app': 'The workspace is another app’s',
  'workspace/in-use': 'A launch has the workspace',
  'workspace/busy': 'A snapshot of the workspace is being taken or put back',
  'workspace/full': 'The workspace holds more than it may',
  'workspace/empty': 'Nothing was put into the workspace yet',
  'workspace/broken': 'The workspace was to be a clone and did not become one',
  'workspace/running': 'A container may be writing to the workspace',
  'workspace/too-large': 'The snapshot holds more than the workspace may',
  'workspace/too-many-snapshots': 'The workspace has as many snapshots as it may have',
  'api-key/ended': 'The key has ended already',
  'audit-tree/foreign-key': 'The tree is signed with another key',
} as const;

export type RefusalCode = keyof typeof refusals;

/** A decision against the request. `detail` names the field or the state that made it so; it is shown to the caller. */
export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly detail: Readonly<Record<string, unknown>>;
  constructor(code: RefusalCode, detail: Readonly<Record<string, unknown>> = {}) {
    super(refusals[code]);
    this.name = 'Refusal';
    this.code = code;
    this.detail = detail;
  }
}
