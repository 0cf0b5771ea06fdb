/**
 * An app as its owner describes it: where its source is, what it is called, how it is tagged.
 *
 *   absent ──► registered ──► archived ──► registered (again)
 *
 * What a clone of the source taught us is not here but in ingestion.ts: people describe, machines find out.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { tagsPerAppMax } from '../kernel/limits.ts';
import { Refusal } from '../kernel/refusal.ts';
import { confined, type Sandbox } from './sandbox.ts';
import { type Tag, tagText } from './tag.ts';

/** What the owner may change later. `null` means "not given"; the ingestion may then fill it in for the reader. */
export type Description = {
  name: string;
  description: string | null;
  repoUrl: string;
  ref: string | null;
  dockerfilePath: string | null;
  homepage: string | null;
  owner: string | null;
};

/** The build whose image is launched unless another one is asked for. */
export type Release = {
  buildId: string;
  commit: string;
  image: string;
  imageId: string;
  ports: number[];
  /** When the build was requested: an older build that ends later does not replace a newer one. */
  requestedAt: string;
};

export type RepositoryEvent =
  | { type: 'RepositoryRegistered'; data: { appId: string; at: string; tags: Tag[] } & Description }
  | { type: 'RepositoryChanged'; data: { appId: string; at: string; changes: Partial<Description> } }
  | { type: 'RepositoryTagged'; data: { appId: string; at: string; tag: Tag } }
  | { type: 'RepositoryUntagged'; data: { appId: string; at: string; tag: Tag } }
  | { type: 'RepositorySandboxChanged'; data: { appId: string; at: string; sandbox: Sandbox } }
  | { type: 'RepositoryReleased'; data: { appId: string; at: string; release: Release } }
  | { type: 'RepositoryArchived'; data: { appId: string; at: string } };

export type RepositoryCommand =
  | { type: 'RegisterRepository'; data: { appId: string; at: string; tags: Tag[] } & Description }
  | { type: 'ChangeRepository'; data: { appId: string; at: string; changes: Partial<Description> } }
  | { type: 'TagRepository'; data: { appId: string; at: string; tag: Tag } }
  | { type: 'UntagRepository'; data: { appId: string; at: string; tag: Tag } }
  | { type: 'ConfineRepository'; data: { appId: string; at: string; sandbox: Sandbox } }
  | { type: 'ReleaseRepository'; data: { appId: string; at: string; release: Release } }
  | { type: 'ArchiveRepository'; data: { appId: string; at: string } };

export type RepositoryState =
  | { status: 'absent' }
  | {
      status: 'registered' | 'archived';
      description: Description;
      tags: readonly Tag[];
      release: Release | null;
      /** How what is launched from now on is confined. */
      sandbox: Sandbox;
    };

const sameTag = (a: Tag, b: Tag) => tagText(a) === tagText(b);

function sameSandbox(a: Sandbox, b: Sandbox): boolean {
  const isSame =
    a.allowRoot === b.allowRoot && a.runtime === b.runtime && a.egress.length === b.egress.length;
  return isSame && a.egress.every((host, at) => host === b.egress[at]);
}

/** A tag that is given twice counts once. */
function distinct(tags: readonly Tag[]): Tag[] {
  return tags.filter((tag, at) => tags.findIndex(other => sameTag(tag, other)) === at);
}

/** The changes that would really change something. */
function changesTo(description: Description, wanted: Partial<Description>): Partial<Description> {
  const entries = Object.entries(wanted) as [keyof Description, string | null][];
  return Object.fromEntries(entries.filter(([field, value]) => description[field] !== value));
}

export const repository: Decider<RepositoryState, RepositoryCommand, RepositoryEvent> = {
  category: 'apps.repository',
  initialState: { status: 'absent' },

  evolve(state, event) {
    if (event.type === 'RepositoryRegistered') {
      const { appId: _appId, at: _at, tags, ...description } = event.data;
      return { status: 'registered', description, tags, release: null, sandbox: confined };
    }
    if (state.status === 'absent') return state;
    switch (event.type) {
      case 'RepositoryChanged':
        return { ...state, description: { ...state.description, ...event.data.changes } };
      case 'RepositoryTagged':
        return { ...state, tags: [...state.tags, event.data.tag] };
      case 'RepositoryUntagged':
        return { ...state, tags: state.tags.filter(tag => !sameTag(tag, event.data.tag)) };
      case 'RepositorySandboxChanged':
        return { ...state, sandbox: event.data.sandbox };
      case 'RepositoryReleased':
        return { ...state, release: event.data.release };
      case 'RepositoryArchived':
        return { ...state, status: 'archived' };
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    const { appId, at } = command.data;
    if (command.type === 'RegisterRepository') {
      if (state.status === 'registered') throw new Refusal('already-exists', { appId });
      return [{ type: 'RepositoryRegistered', data: { ...command.data, tags: distinct(command.data.tags) } }];
    }
    if (state.status === 'absent') throw new Refusal('not-found', { appId });
    if (command.type === 'ArchiveRepository') {
      return state.status === 'archived' ? [] : [{ type: 'RepositoryArchived', data: { appId, at } }];
    }
    if (state.status === 'archived') throw new Refusal('archived', { appId });

    switch (command.type) {
      case 'ChangeRepository': {
        const changes = changesTo(state.description, command.data.changes);
        return Object.keys(changes).length === 0
          ? []
          : [{ type: 'RepositoryChanged', data: { appId, at, changes } }];
      }
      case 'TagRepository': {
        const { tag } = command.data;
        if (state.tags.some(present => sameTag(present, tag))) return [];
        if (state.tags.length >= tagsPerAppMax)
          throw new Refusal('invalid', {
            errors: [{ field: 'tags', message: `an app has at most ${tagsPerAppMax} of them` }],
          });
        return [{ type: 'RepositoryTagged', data: { appId, at, tag } }];
      }
      case 'UntagRepository': {
        const { tag } = command.data;
        return state.tags.some(present => sameTag(present, tag))
          ? [{ type: 'RepositoryUntagged', data: { appId, at, tag } }]
          : [];
      }
      case 'ConfineRepository': {
        const { sandbox } = command.data;
        return sameSandbox(state.sandbox, sandbox)
          ? []
          : [{ type: 'RepositorySandboxChanged', data: { appId, at, sandbox } }];
      }
      case 'ReleaseRepository': {
        const { release } = command.data;
        const present = state.release;
        const isNewer = present === null || present.requestedAt < release.requestedAt;
        return isNewer && present?.buildId !== release.buildId
          ? [{ type: 'RepositoryReleased', data: { appId, at, release } }]
          : [];
      }
      default:
        return unreachable(command);
    }
  },
};
