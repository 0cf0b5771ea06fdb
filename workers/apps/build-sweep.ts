/** What builds may have left behind where something died: steps on the engine, and values of secrets that nothing names. */
import { deriveId } from '../../commands/derive-id.ts';
import { stateOf } from '../../commands/execute.ts';
import { build } from '../../domain/apps/build.ts';
import { buildInput } from '../../domain/apps/build-input.ts';
import type { BuildSecrets } from '../../platform/build-secrets.ts';
import type { Docker } from '../adapters/docker-types.ts';
import { actor, attempt, type Send } from '../effect.ts';

/** A step that has ended is removed by its builder at once, unless that is gone. */
const endedMsMin = 60_000;
/** Between keeping a value and telling of it there is one request. */
const unnamedSecondsMin = 600;

export type BuildSweepDeps = Send & { readonly docker: Docker; readonly buildSecrets: BuildSecrets };

/** Steps of builds that are over, and those that ended without anybody to clear them away. Those of others are left alone. */
export async function sweepBuildSteps({ docker, store }: BuildSweepDeps): Promise<void> {
  await docker.endOrphanedSteps();
  for (const { containerId, buildId, isRunning, endedMs } of await docker.listBuildSteps()) {
    const known = await stateOf(store, build, buildId);
    if (known === null) continue;
    const isOver = known.state.status === 'finished';
    if (isOver || (!isRunning && endedMs >= endedMsMin)) await docker.removeBuildStep(containerId);
  }
}

/** The steps that an attempt before this one has left, of which nobody takes the outcome any more. */
export async function endStepsOf(docker: Docker, buildId: string): Promise<void> {
  await docker.endOrphanedSteps();
  for (const step of await docker.listBuildSteps()) {
    if (step.buildId === buildId) await docker.removeBuildStep(step.containerId);
  }
}

/** Values that were kept and never told of, or told to be gone and not erased. The log says so: tables may be behind. */
export async function eraseUnnamedSecrets(
  { buildSecrets, store }: Pick<BuildSweepDeps, 'buildSecrets' | 'store'>,
  secondsMin: number = unnamedSecondsMin,
): Promise<void> {
  for (const { key, appId, name } of await buildSecrets.unnamed(secondsMin)) {
    const known = await stateOf(store, buildInput, appId);
    if (known?.state.secrets.get(name)?.key !== key) await buildSecrets.erase(key);
  }
}

/** An archived app has no secrets: who registers one under its id again is perhaps somebody else. */
export async function removeSecretsOf(
  deps: Pick<BuildSweepDeps, 'store' | 'clock' | 'buildSecrets'>,
  appId: string,
): Promise<void> {
  const known = await stateOf(deps.store, buildInput, appId);
  for (const [name, { key }] of known?.state.secrets ?? []) {
    if (key === null) continue;
    const at = deps.clock.now();
    const cause = deriveId('archived', key);
    const metadata = { actor, correlationId: cause, causationId: cause, time: at };
    const command = { type: 'RemoveBuildSecret', data: { appId, name, at } } as const;
    await attempt(deps, buildInput, appId, command, metadata, ['not-found']);
    await deps.buildSecrets.erase(key);
  }
}
