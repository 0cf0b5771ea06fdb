/**
 * Every code an answer may say no with: its HTTP status, and what its caller can do. docs/errors.md is printed from here.
 * A refusal of the domain without a status of its own is a conflict with the present state: 409.
 */
import type { RefusalCode } from '../domain/kernel/refusal.ts';

export type ProblemCode = { readonly status: number; readonly advice: string };

const conflict = (advice: string): ProblemCode => ({ status: 409, advice });

/** The refusals of the domain; their titles are in domain/kernel/refusal.ts. */
export const refusalCodes: { readonly [code in RefusalCode]: ProblemCode } = {
  'not-found': {
    status: 404,
    advice: 'Check the id. What was written a moment ago is found with `?after=<position>`.',
  },
  'already-exists': conflict(
    'Choose another id, or change what is there: the answer holds its present state.',
  ),
  archived: conflict('Register the app again under the same id to go on with it.'),
  invalid: { status: 400, advice: 'Each entry of `errors` names a field and says what would be right.' },
  'idempotency/mismatch': {
    status: 422,
    advice: 'Use a new Idempotency-Key for a new request, or repeat the old one unchanged.',
  },
  'ingestion/in-progress': conflict('Wait for its end, or cancel it first.'),
  'ingestion/not-in-progress': conflict('There is nothing to cancel.'),
  'ingestion/stale-attempt': conflict('Nothing: the work goes on in the newer attempt.'),
  'build/no-commit': conflict('Wait until the app is ready, or look at why its ingestion failed.'),
  'build/already-finished': conflict('Ask for a new build, or retry this one.'),
  'build/not-finished': conflict('Wait for its end, or cancel it first.'),
  'build/not-started': conflict('Nothing: a worker reported the end of what has not begun.'),
  'build/stale-attempt': conflict('Nothing: the work goes on in the newer attempt.'),
  'build/released': conflict('Release another build first, or archive the app.'),
  'build/no-image': conflict('Look at the build: it has not ended yet, or ended without an image.'),
  'build/no-provenance': {
    status: 404,
    advice: 'Only a build that succeeded has one, and those of before it was kept have none: build it again.',
  },
  'launch/no-image': conflict('Build the app first; a build that failed has no image.'),
  'launch/image-removed': conflict('Build it again with POST /builds/:buildId/retry, and launch that.'),
  'launch/no-earlier-build': conflict('Name the build to run with `buildId`, or redeploy the newest one.'),
  'launch/already-ended': conflict('Launch the app again.'),
  'launch/deploying': conflict('Wait until it serves or has failed, or stop the launch.'),
  'launch/over-quota': conflict(
    'Launch it again at `freeAt`, or have the quota raised; GET /usage says what was used by what.',
  ),
  'launch/not-starting': conflict('Look at the launch: it runs already, is being stopped, or has ended.'),
  'host-name/taken': conflict('Release it at the app it leads to, or choose another name.'),
  'workspace/removed': conflict('Make another one.'),
  'workspace/other-app': conflict('Use a workspace of this app, or make one.'),
  'workspace/in-use': conflict('Stop that launch (`launchId`) first, or clone the workspace.'),
  'workspace/busy': conflict('Wait for its end: GET /workspaces/:workspaceId says what is being done.'),
  'workspace/full': conflict('Raise what it may hold, or put back an earlier snapshot.'),
  'workspace/empty': conflict('Launch the app with it first.'),
  'workspace/broken': conflict('Delete it, and clone again.'),
  'workspace/running': conflict(
    'Put the launch (`launchId`) to sleep, or stop it, and wait until its container is gone.',
  ),
  'workspace/too-large': conflict('Raise what the workspace may hold first.'),
  'workspace/too-many-snapshots': conflict('Remove one that is not needed any more.'),
  'api-key/ended': conflict('Make a new key.'),
  'audit-tree/foreign-key': conflict(
    'Give the worker its key back, or let the tree begin again with POST /audit/tree/restart.',
  ),
};

/** What the edge itself says no to. */
export const edgeCodes: { readonly [code: string]: ProblemCode & { readonly title: string } } = {
  unauthorized: {
    status: 401,
    title: 'No token was given, it is not known, or a signature is not right',
    advice: 'Send `Authorization: Bearer <token>`; a webhook is signed with the secret of its app.',
  },
  forbidden: {
    status: 403,
    title: 'The token lacks a scope',
    advice: 'Use a token with the scope that `scope` names.',
  },
  'foreign-origin': {
    status: 403,
    title: 'A page of another origin asked',
    advice: 'Open the page at the address of the platform itself; a proxy before it has to pass `Host` on.',
  },
  'foreign-resource': {
    status: 403,
    title: 'The credential is not good for this app',
    advice: 'Use a credential whose `apps` include it.',
  },
  'not-protected': {
    status: 400,
    title: 'Signing in needs HTTPS, or the page of this very machine',
    advice: 'Put a proxy with a certificate before AppHub and name it in APPHUB_TRUSTED_PROXIES.',
  },
  'bad-logout-token': {
    status: 400,
    title: 'This is no token about the end of a session',
    advice:
      'The provider signs it for this client, with `sid`: require the session where AppHub is registered.',
  },
  'token-sign-in-off': {
    status: 403,
    title: 'People sign in at the provider here, not by token',
    advice: 'Go to /auth/login. APPHUB_LEGACY_TOKENS=on lets tokens of the installation in again.',
  },
  csrf: {
    status: 403,
    title: 'A change was asked for by cookie, but not by a page of this platform',
    advice:
      'Send the field that `field` names; programs use `Authorization: Bearer <key>` instead of a cookie.',
  },
  'token-in-address': {
    status: 400,
    title: 'A token was sent in the address',
    advice:
      'Send it in the Authorization field, and make a new one: addresses are kept in logs and histories.',
  },
  'grant-required': {
    status: 401,
    title: 'The preview is private, and nothing was sent that lets its visitor in',
    advice:
      'Open it from its page or with a link (`apphub launches open`, `share`). Programs send a grant as `X-AppHub-Grant`.',
  },
  'launch-network': {
    status: 403,
    title: 'The request comes from the network of a launch',
    advice:
      'Apps reach nothing of the platform. Where it is your own network, set APPHUB_LAUNCH_SUBNETS to another one.',
  },
  'launch-over': {
    status: 410,
    title: 'The launch has ended, and its address with it',
    advice: 'Launch the app again.',
  },
  'launch-not-up': {
    status: 503,
    title: 'The launch is coming up, or cannot be brought up',
    advice: 'Ask again after the seconds of `Retry-After`; `detail` says why where it cannot.',
  },
  'app-not-answering': {
    status: 502,
    title: 'The app of this launch does not answer, or with what is not HTTP',
    advice: 'Look at its log; it has to listen on its port on every address, not on 127.0.0.1 alone.',
  },
  'app-too-slow': {
    status: 504,
    title: 'The app of this launch takes too long to answer, or to take what is sent to it',
    advice: 'Ask again; what takes long is better answered at once and asked for later.',
  },
  'too-many-visitors': {
    status: 503,
    title: 'Too much is asked of this launch at once',
    advice: 'Ask again after the seconds of `Retry-After`.',
  },
  busy: { status: 409, title: 'Somebody else wrote first', advice: 'Send the same request again.' },
  'method-not-allowed': {
    status: 405,
    title: 'The address is known, but not with this method',
    advice: 'Use one of the methods that the field `Allow` names.',
  },
  'too-slow': {
    status: 408,
    title: 'The request came too slowly',
    advice: 'Send the same request again; the whole of it has to arrive within 30 s.',
  },
  'too-large': {
    status: 413,
    title: 'The body is too large, or the address (414) or the header fields (431) are',
    advice: 'Send less: a body of at most 1 MiB, 64 KiB before it. What apps take is said in the answer.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'The body is of a type that is not understood',
    advice: 'Send JSON with `Content-Type: application/json`.',
  },
  'rate-limited': {
    status: 429,
    title: 'This was asked too often',
    advice: 'Go on after the seconds of `Retry-After`; the field `RateLimit` says how many are left.',
  },
  'as-of-unsupported': {
    status: 400,
    title: 'This cannot be asked for an earlier time',
    advice: 'Leave `asOf` away: `detail` says why it is answered for the present only.',
  },
  'as-of-future': {
    status: 400,
    title: 'The time or position in `asOf` is in the future',
    advice: 'Ask for one that has been: GET /past says which.',
  },
  'as-of-behind': {
    status: 503,
    title: 'The past is being made readable, and is not so far yet',
    advice: 'Ask again later: `percent` says how far it is. GET /past says up to where it can be read.',
  },
  'log-removed': {
    status: 410,
    title: 'The log is not kept any more',
    advice: 'Build it again. APPHUB_LOG_DAYS and APPHUB_LOGS_PER_APP say how long logs are kept.',
  },
  'range-not-satisfiable': {
    status: 416,
    title: 'There are not so many bytes',
    advice: 'Ask for a part that begins before `bytes`, or without a field `Range`.',
  },
  'upgrade-required': {
    status: 426,
    title: 'This is a WebSocket',
    advice:
      'Connect to it as one, `ws://…/stream`, with the token as a bearer or the subprotocol `bearer.<token>`.',
  },
  internal: {
    status: 500,
    title: 'Something broke on our side',
    advice: 'Report it with `instance`, which names the request in the log of the process.',
  },
  unavailable: {
    status: 503,
    title: 'The event log, the database or the engine cannot be reached, or too many clients follow',
    advice: 'Send the same request again after the seconds of `Retry-After`, with the same Idempotency-Key.',
  },
  behind: {
    status: 503,
    title: 'The tables have not reached this position yet',
    advice: 'Ask again; `reached` says how far they are.',
  },
  'dead-letter': {
    status: 503,
    title: 'A table cannot take what was written there yet',
    advice: 'Read without `after`, or have what `deadLetters` names replayed: it is in the log, and waits.',
  },
};
