/** Single volumes of workspaces: how they are called, how they are found, and that they are there. */
import { createHash } from 'node:crypto';
import { isStatus, unless } from './docker-found.ts';
import { labelOf } from './docker-labels.ts';
import type { Engine } from './docker-types.ts';
import { type FoundVolume, WorkspaceFailure } from './docker-workspace-types.ts';

/** The same path always has the same name in a set, so a volume is found again and never made twice. */
function volumeName(workspaceId: string, generation: number, path: string): string {
  const hash = createHash('sha256').update(path).digest('hex').slice(0, 12);
  return `apphub-${workspaceId}-${generation}-${hash}`;
}

type Of = {
  readonly workspaceId: string;
  readonly generation: number;
  readonly appId: string;
  readonly eventId: string;
};

/** Makes an empty volume, in the place of one of this name. Only for those of which the log knows nothing. */
export async function makeVolume(engine: Engine, of: Of, path: string): Promise<string> {
  const name = volumeName(of.workspaceId, of.generation, path);
  await engine.api.getVolume(name).remove().catch(unless(404));
  await engine.api.createVolume({
    Name: name,
    Labels: {
      [labelOf.instance]: engine.instance,
      [labelOf.app]: of.appId,
      [labelOf.workspace]: of.workspaceId,
      [labelOf.generation]: String(of.generation),
      [labelOf.path]: path,
      [labelOf.event]: of.eventId,
    },
  });
  return name;
}

/** Refuses one more workspace of an app that has as many as it may. */
export async function refuseTooMany(
  engine: Engine,
  { appId, workspaceId }: { appId: string; workspaceId: string },
  perAppMax: number,
): Promise<string | undefined> {
  const all = await listVolumes(engine);
  const others = new Set(all.filter(one => one.appId === appId).map(one => one.workspaceId));
  others.delete(workspaceId);
  if (others.size < perAppMax) return undefined;
  return `${others.size} workspaces of the app have volumes already, and ${perAppMax} may; delete one of them`;
}

/** A volume that is mounted and not there would be made, and be empty. */
export async function requireVolume(engine: Engine, name: string): Promise<void> {
  await engine.api
    .getVolume(name)
    .inspect()
    .catch(error => {
      if (!isStatus(error, 404)) throw error;
      throw new WorkspaceFailure(`The volume ${name} is gone from the engine; put a snapshot back`);
    });
}

export async function listVolumes(engine: Engine): Promise<readonly FoundVolume[]> {
  const label = [`${labelOf.instance}=${engine.instance}`, labelOf.workspace];
  const { Volumes: volumes } = await engine.api.listVolumes({ filters: { label } });
  return (volumes ?? []).map(({ Name: name, Labels: labels }) => ({
    name,
    engine: engine.name,
    appId: labels[labelOf.app] ?? '',
    workspaceId: labels[labelOf.workspace] ?? '',
    generation: Number(labels[labelOf.generation] ?? 0),
  }));
}
