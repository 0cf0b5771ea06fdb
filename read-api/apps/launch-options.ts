/** GET /launches/options: what can be said when an app is launched, and what is meant where nothing is said. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import * as limits from '../../domain/kernel/limits.ts';
import { Count, nullable, oneOf, Text } from '../shapes.ts';

export type LaunchOptions = {
  /** What a container of each size may use. */
  readonly profiles: Readonly<Record<limits.ResourceProfile, { memoryBytes: number; cpus: number }>>;
  /** After how long a launch sleeps that says nothing about it; null: never. */
  readonly idleSeconds: number | null;
};

const Range = { min: Count, max: Count };

const Options = Type.Object({
  profiles: Type.Array(Type.Object({ name: Text, memoryBytes: Count, cpus: Type.Number() })),
  idleSeconds: Type.Object({ ...Range, default: nullable(Count) }),
  ttlSeconds: Type.Object({ ...Range, default: Count }),
});

export function launchOptionReads({ launch }: { launch: LaunchOptions }): FastifyPluginAsyncTypebox {
  const data = {
    profiles: limits.resourceProfiles.map(name => {
      const { memoryBytes, cpus } = launch.profiles[name];
      return { name, memoryBytes, cpus };
    }),
    idleSeconds: {
      min: limits.launchIdleSecondsMin,
      max: limits.launchIdleSecondsMax,
      default: launch.idleSeconds,
    },
    ttlSeconds: {
      min: limits.launchTtlSecondsMin,
      max: limits.launchTtlSecondsMax,
      default: limits.launchTtlSecondsDefault,
    },
  };
  return async app => {
    app.get(
      '/launches/options',
      {
        config: { scope: 'apps:read' },
        schema: {
          tags: ['launches'],
          summary: 'What can be said of a launch: sizes, and the times that are meant where none are said',
          response: { 200: oneOf(Options) },
        },
      },
      async () => ({ data }),
    );
  };
}
