/** Keeps up what protects from launches while they run, and clears away what a killed process had made for a moment. */
import { restoreWaysOut } from './docker-egress.ts';
import { findContainers, unless } from './docker-found.ts';
import { ensureHostGuard } from './docker-host-guard.ts';
import { labelOf } from './docker-labels.ts';
import { type Engine, type EngineAnswer, LaunchFailure } from './docker-types.ts';

/** Whatever is made for a moment is gone by then. */
const momentSecondsMax = 300;

/** Says what is wrong, where something is. Nothing is asked of a host on which nothing runs. */
export async function protect(engine: Engine): Promise<EngineAnswer> {
  await removeLeftovers(engine);
  const running = (await findContainers(engine)).filter(({ state }) => state !== 'ended');
  if (running.length === 0) {
    await restoreWaysOut(engine);
    return { ok: true };
  }
  try {
    await ensureHostGuard(engine);
    await restoreWaysOut(engine);
    return { ok: true };
  } catch (error) {
    if (error instanceof LaunchFailure) return { ok: false, reason: error.reason };
    throw error;
  }
}

async function removeLeftovers(engine: Engine): Promise<void> {
  const before = Date.now() / 1_000 - momentSecondsMax;
  for (const label of [labelOf.look, labelOf.guard]) {
    const filters = { label: [`${labelOf.instance}=${engine.instance}`, label] };
    for (const { Id, Created } of await engine.api.listContainers({ all: true, filters })) {
      if (Created > before) continue;
      await engine.api.getContainer(Id).remove({ force: true, v: true }).catch(unless(404, 409));
    }
  }
}
