/** What an image was made of and how, in the words of in-toto (Statement v1) and SLSA (provenance v1). */
import { type Static, Type } from '@fastify/type-provider-typebox';
import type { PushedImage } from '../../domain/apps/build.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { nullable, Text, Time } from '../shapes.ts';
import type { BuildRow } from './build.ts';

const Digest = Type.Record(Text, Text);
const Resource = Type.Object({ name: Text, digest: Digest });
const Dependency = Type.Object({
  name: Type.Optional(Text),
  uri: Type.Optional(Text),
  digest: Type.Optional(Digest),
  annotations: Type.Optional(Type.Record(Text, Text)),
});

/** https://in-toto.io/Statement/v1 with https://slsa.dev/provenance/v1 */
export const Statement = Type.Object({
  _type: Text,
  subject: Type.Array(Resource),
  predicateType: Text,
  predicate: Type.Object({
    buildDefinition: Type.Object({
      buildType: Text,
      externalParameters: Type.Object({
        repository: Text,
        ref: nullable(Text),
        commit: Text,
        dockerfile: Text,
        context: Text,
        buildArgs: Type.Record(Text, Text),
      }),
      internalParameters: Type.Object({
        app: Text,
        cause: Text,
        platform: Text,
        /** Names and versions only. */
        secrets: Type.Array(Type.Object({ name: Text, version: Type.Integer() })),
      }),
      resolvedDependencies: Type.Array(Dependency),
    }),
    runDetails: Type.Object({
      builder: Type.Object({ id: Text, version: Type.Record(Text, Text) }),
      metadata: Type.Object({ invocationId: Text, startedOn: nullable(Time), finishedOn: nullable(Time) }),
      byproducts: Type.Array(Type.Object({ name: Text, uri: Text })),
    }),
  }),
});

/** Refuses where the build has not succeeded, or was made before it was kept what of. */
export function statementOf(row: BuildRow): Static<typeof Statement> {
  const { provenance } = row;
  if (provenance === null) throw new Refusal('build/no-provenance', { buildId: row.build_id });
  const build = row as unknown as Built;
  const { dockerfile, context, bases, builder, secrets } = provenance;
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: subjectsOf(build),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:apphub:build:dockerfile:v1',
        externalParameters: {
          repository: build.repo_url,
          ref: build.ref,
          commit: build.commit,
          dockerfile: dockerfile.path,
          context,
          buildArgs: build.args,
        },
        internalParameters: { app: build.app_id, cause: build.cause, platform: builder.platform, secrets },
        resolvedDependencies: [
          { uri: `git+${build.repo_url}@${build.commit}`, digest: { gitCommit: build.commit } },
          { name: dockerfile.path, digest: { sha256: dockerfile.sha256 } },
          ...bases.map(({ ref, imageId, digest }) => ({
            uri: `docker-image:${ref}`,
            ...(digest === null ? {} : { digest: { sha256: hexOf(digest) } }),
            ...(imageId === null ? {} : { annotations: { imageId } }),
          })),
        ],
      },
      runDetails: {
        builder: { id: `urn:apphub:builder:docker-${builder.kind}`, version: { docker: builder.engine } },
        metadata: { invocationId: row.build_id, startedOn: build.started_at, finishedOn: build.finished_at },
        byproducts: [{ name: 'log', uri: `/builds/${row.build_id}/logs` }],
      },
    },
  };
}

type Built = {
  app_id: string;
  repo_url: string;
  ref: string | null;
  commit: string;
  cause: string;
  args: Record<string, string>;
  image: string;
  image_id: string;
  pushed: PushedImage | null;
  started_at: string | null;
  finished_at: string | null;
};

/** The image as its engine knows it, by the digest of its configuration; and as a registry does, by that of its manifest. */
function subjectsOf({ image, image_id: imageId, pushed }: Built) {
  const onEngine = { name: image, digest: { sha256: hexOf(imageId) } };
  if (pushed === null) return [onEngine];
  return [onEngine, { name: pushed.repository, digest: { sha256: hexOf(pushed.digest) } }];
}

const hexOf = (digest: string) => digest.replace(/^sha256:/, '');
