/** Every image that was built, whether it is still there, and when it was launched last. */
import type { BuildImageEvent } from '../../domain/apps/build-image.ts';
import { type Op, type Projection, patch, put } from '../projection.ts';

const table = 'apps_images';

const is = (
  { buildId, at }: BuildImageEvent['data'],
  place: string,
  reason: string | null,
): readonly Op[] => [patch(table, { build_id: buildId }, { place, reason, changed_at: at })];

const launched = ({ buildId, at }: { buildId: string; at: string }): readonly Op[] => [
  patch(table, { build_id: buildId }, { used_at: at }),
];

export const images: Projection = {
  name: table,
  version: 2,
  tables: { [table]: ['build_id'] },
  madeAt: { [table]: 'built_at' },

  createTables: schema =>
    schema.createTable(table, t => {
      t.text('build_id').primary();
      t.text('app_id').notNullable();
      t.text('image').notNullable();
      t.text('image_id').notNullable();
      t.bigInteger('bytes').notNullable();
      t.text('place').notNullable();
      t.text('reason');
      t.timestamp('built_at').notNullable();
      t.timestamp('used_at');
      t.timestamp('changed_at').notNullable();
      t.index(['app_id', 'built_at']);
      t.index(['place', 'built_at']);
    }),

  on: {
    BuildSucceeded: ({ data }) => [
      put(table, {
        build_id: data.buildId,
        app_id: data.appId,
        image: data.image,
        image_id: data.imageId,
        bytes: data.bytes,
        place: 'present',
        reason: null,
        built_at: data.at,
        changed_at: data.at,
      }),
    ],
    BuildImageRemoving: ({ data }) => is(data, 'removing', data.reason),
    BuildImageRemoved: ({ data }) => is(data, 'removed', data.reason),
    BuildImageKept: ({ data }) => is(data, 'present', null),
    LaunchRequested: ({ data }) => launched(data),
    LaunchDeploymentRequested: ({ data }) => launched(data),
  },
};
