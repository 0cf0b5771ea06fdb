/**
 * What each build of an app is given beside its source: arguments, which everybody may read, and secrets, which nobody may.
 *
 * A secret is here by its name and version only. Its value is kept sealed outside the log, under the key that the event names;
 * it is good for builds of the address it was set for, so that whoever may change an app's source cannot read its secrets.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { buildSecretsMax } from '../kernel/limits.ts';
import { Refusal } from '../kernel/refusal.ts';
import type { BuildArgs } from './build-args.ts';

export type BuildInputEvent =
  | { type: 'BuildArgsSet'; data: { appId: string; args: BuildArgs; at: string } }
  | {
      type: 'BuildSecretSet';
      data: { appId: string; name: string; version: number; key: string; repoUrl: string; at: string };
    }
  | { type: 'BuildSecretRemoved'; data: { appId: string; name: string; version: number; at: string } };

export type BuildInputCommand =
  | { type: 'SetBuildArgs'; data: { appId: string; args: BuildArgs; at: string } }
  /** `key`: under which the value is kept, already. */
  | {
      type: 'SetBuildSecret';
      data: { appId: string; name: string; key: string; repoUrl: string; at: string };
    }
  | { type: 'RemoveBuildSecret'; data: { appId: string; name: string; at: string } };

/** `key` is null once it was removed: its version goes on where it was, if it is ever set again. */
type KnownSecret = { readonly version: number; readonly key: string | null; readonly repoUrl: string };

export type BuildInputState = {
  readonly args: BuildArgs;
  readonly secrets: ReadonlyMap<string, KnownSecret>;
};

export const buildInput: Decider<BuildInputState, BuildInputCommand, BuildInputEvent> = {
  category: 'apps.build-input',
  initialState: { args: {}, secrets: new Map() },

  evolve(state, event) {
    switch (event.type) {
      case 'BuildArgsSet':
        return { ...state, args: event.data.args };
      case 'BuildSecretSet': {
        const { name, version, key, repoUrl } = event.data;
        return { ...state, secrets: new Map(state.secrets).set(name, { version, key, repoUrl }) };
      }
      case 'BuildSecretRemoved': {
        const { name, version } = event.data;
        return { ...state, secrets: new Map(state.secrets).set(name, { version, key: null, repoUrl: '' }) };
      }
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    const { appId, at } = command.data;
    switch (command.type) {
      case 'SetBuildArgs': {
        const { args } = command.data;
        return sameArgs(state.args, args) ? [] : [{ type: 'BuildArgsSet', data: { appId, args, at } }];
      }
      case 'SetBuildSecret': {
        const { name, key, repoUrl } = command.data;
        const known = state.secrets.get(name);
        if (known?.key === key) return [];
        const present = [...state.secrets.values()].filter(secret => secret.key !== null).length;
        if (known?.key == null && present >= buildSecretsMax) {
          const message = `an app has at most ${buildSecretsMax} of them`;
          throw new Refusal('invalid', { errors: [{ field: 'name', message }] });
        }
        const version = (known?.version ?? 0) + 1;
        return [{ type: 'BuildSecretSet', data: { appId, name, version, key, repoUrl, at } }];
      }
      case 'RemoveBuildSecret': {
        const { name } = command.data;
        const known = state.secrets.get(name);
        if (known === undefined) throw new Refusal('not-found', { appId, name });
        return known.key === null
          ? []
          : [{ type: 'BuildSecretRemoved', data: { appId, name, version: known.version, at } }];
      }
      default:
        return unreachable(command);
    }
  },
};

function sameArgs(a: BuildArgs, b: BuildArgs): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every(name => Object.hasOwn(b, name) && a[name] === b[name])
  );
}

/** The secrets that a build of this address is given: name, version and key of each. */
export function secretsFor(state: BuildInputState, repoUrl: string) {
  return [...state.secrets].flatMap(([name, secret]) =>
    secret.key !== null && secret.repoUrl === repoUrl
      ? [{ name, version: secret.version, key: secret.key }]
      : [],
  );
}
