/** What a launch does and what became of its containers, in words. All of it pure. */
import { durationOf, shortCommit, spanOf } from '../lib/format.js';

/** @import { App, Deployment, Launch, LaunchFailure } from '../lib/shapes.js' */

/** Whether it has not come to its end. @param {Launch} launch */
export const isAlive = ({ status }) => !['stopped', 'expired', 'failed'].includes(status);

/** Whether anything may still be asked of it. @param {Launch} launch */
export const isChangeable = launch => isAlive(launch) && launch.status !== 'stopping';

/** Whether its visitors reach the app: one that is to end may have its container still. @param {Launch} launch */
export const isServing = launch => launch.serving !== null && isChangeable(launch);

/** The one that is being brought up. @param {readonly Deployment[]} deployments newest first */
export const comingOf = deployments => deployments.find(({ status }) => status === 'coming');

/**
 * The one that was to replace the one that serves, and did not come up.
 * @param {Launch} launch @param {readonly Deployment[]} deployments
 */
export function failedOf(launch, deployments) {
  const [newest] = deployments;
  const isOne = newest?.failure != null && newest.runningAt === null && newest.deployment !== launch.serving;
  return isServing(launch) && isOne ? newest : undefined;
}

/**
 * The build that ran before the present one and can be gone back to: what a rollback that names none goes to.
 * @param {Launch} launch @param {readonly Deployment[]} deployments
 */
export const earlierOf = ({ buildId }, deployments) =>
  deployments.find(one => one.buildId !== buildId && one.runningAt !== null);

/**
 * Whether a newer build was released than runs here, or is on its way here.
 * @param {App} app @param {Launch} launch @param {readonly Deployment[]} deployments
 */
export const newerOf = ({ release }, { buildId }, deployments) =>
  release !== null && release.buildId !== buildId && comingOf(deployments)?.buildId !== release.buildId
    ? release
    : undefined;

/** @param {Launch} launch */
const untilWell = ({ healthPath }) =>
  healthPath === null ? 'waiting until the app answers' : `waiting until ${healthPath} answers well`;

/** How far a deployment is that is coming. @param {Launch} launch @param {Deployment} coming */
const progressWords = (launch, { engine }) =>
  engine === null ? 'its container is being made' : `its container is up; ${untilWell(launch)}`;

/** Having run for so long, an app that fails begins to count anew. */
const steadyMsMin = 10 * 60_000;

/** How often it has failed in a row, where that is more than once. @param {readonly Deployment[]} deployments */
function triesWords(deployments) {
  let tries = 0;
  for (const [at, { cause }] of deployments.entries()) {
    if (cause !== 'restart') break;
    tries += 1;
    const { runningAt, failure } = deployments[at + 1] ?? {};
    if (runningAt && failure && Date.parse(failure.at) - Date.parse(runningAt) >= steadyMsMin) break;
  }
  return tries > 1 ? ` It has failed ${tries} times in a row.` : '';
}

/** Why it is asleep. @param {Launch} launch @param {readonly Deployment[]} deployments */
function sleepWords({ sleepReason, because, idleSeconds }, [newest]) {
  if (newest?.failure != null && newest.runningAt === null) {
    return `It was to start and did not come up: ${lowered(newest.failure.reason)}.`;
  }
  /** @type {Readonly<Record<string, string>>} */
  const why = {
    idle: `Nobody had visited it for ${spanOf(idleSeconds ?? 0)}, so it fell asleep.`,
    evicted: `Others needed its room. ${because ?? ''}`.trim(),
    asked: 'It was put to sleep.',
    quota: because ?? 'Its quota is used up.',
    full: because ?? 'Its workspace is full.',
  };
  return why[sleepReason ?? ''] ?? 'It is asleep.';
}

/**
 * What it does now and why, in a sentence or two; '' where it simply runs.
 * @param {Launch} launch @param {readonly Deployment[]} deployments newest first
 */
export function stateWords(launch, deployments) {
  const { because } = launch;
  const end = because === null ? '' : ` ${because}`;
  const coming = comingOf(deployments);
  const progress = coming === undefined ? 'a container is asked for' : progressWords(launch, coming);
  switch (launch.status) {
    case 'requested':
      return 'It will be started in a moment.';
    case 'starting':
      return `It starts: ${progress}.`;
    case 'asleep':
      return `${sleepWords(launch, deployments)} The next visit wakes it, at the same address.`;
    case 'waking':
      return `It wakes: ${progress}.`;
    case 'restarting':
      return `It ended by itself and is started again.${triesWords(deployments)}`;
    case 'stopping':
      return `Its containers are being removed.${end}`;
    case 'stopped':
      return `It was stopped, and its containers are gone.${end}`;
    case 'expired':
      return 'Its time was over, and its containers are gone.';
    case 'failed':
      return launch.failure?.isLoop === true
        ? 'It failed again and again, so it is not started any more.'
        : 'It failed, and its containers are gone.';
    default:
      return '';
  }
}

/** Without the exit code where the reason names it. @param {LaunchFailure} failure */
export function failureWords({ reason, exitCode, oomKilled }) {
  const isTold = exitCode === null || reason.includes(`exit code ${exitCode}`);
  const memory = oomKilled && !/memory/i.test(reason) ? ' It used more memory than it may.' : '';
  return `${isTold ? ended(reason) : `${reason.replace(/\.$/, '')} (exit code ${exitCode}).`}${memory}`;
}

const lowered = (/** @type {string} */ text) =>
  `${text[0]?.toLowerCase() ?? ''}${text.slice(1).replace(/\.$/, '')}`;
const ended = (/** @type {string} */ text) => (/[.!?…)]$/.test(text) ? text : `${text}.`);

/** Why there was a container. @type {Readonly<Record<string, string>>} */
export const causes = {
  start: 'First start',
  redeploy: 'Redeployed',
  rollback: 'Rolled back',
  wake: 'Woken',
  restart: 'Started again',
};

/** How a container ended, or how far it is. @param {Launch} launch @param {Deployment} deployment */
export function endWords(launch, deployment) {
  const { status, failure, runningAt, goneAt } = deployment;
  if (status === 'coming') {
    const words = progressWords(launch, deployment);
    return `${words[0]?.toUpperCase()}${words.slice(1)}`;
  }
  if (status === 'serving') return 'Serves';
  if (failure !== null) return failureWords(failure);
  if (runningAt === null) return 'Given up before it answered';
  const until = goneAt ?? launch.endedAt;
  if (status === 'retiring' || until === null) return 'Answers what it was asked before, then goes';
  return `Served for ${durationOf(Math.max(0, Date.parse(until) - Date.parse(runningAt)))}`;
}

/** @type {Readonly<Record<string, string>>} */
const removals = {
  count: 'Its image made room for newer ones.',
  disk: 'Its image was removed, as the disk was full.',
  archived: 'Its image went when the app was archived.',
  asked: 'Its image was removed by hand.',
  missing: 'Its image was removed from the engine.',
};

/** Why a build cannot be gone back to. @param {string} reason */
export const removalWords = reason => removals[reason] ?? 'Its image is gone.';

/** The commit of a deployment, or its build where that is not known. @param {{ commit: string | null, buildId: string }} one */
export const buildWords = ({ commit, buildId }) => shortCommit(commit) || buildId.slice(0, 8);

/** What comes, while another one serves. @param {Launch} launch @param {Deployment} coming */
export function comingWords(launch, coming) {
  const what = (causes[coming.cause] ?? coming.cause).toLowerCase();
  const name = `Deployment ${coming.deployment} (${what} with ${buildWords(coming)})`;
  const goesOn = `Deployment ${launch.serving} goes on serving.`;
  return `${name} is coming: ${progressWords(launch, coming)}. ${goesOn}`;
}
