/** Every route that changes something. */
import type { FastifyInstance } from 'fastify';
import { apiKeyCommands } from './access/api-key.ts';
import { auditTreeCommands } from './access/audit-tree.ts';
import { providerSessionCommands } from './access/provider-session.ts';
import { type SessionDeps, sessionCommands } from './access/session.ts';
import { type SignInDeps, signInCommands } from './access/sign-in.ts';
import { buildCommands } from './apps/build.ts';
import { imageCommands } from './apps/build-image.ts';
import { type BuildInputDeps, buildInputCommands } from './apps/build-input.ts';
import { deploymentCommands } from './apps/deployment.ts';
import { type HostNameDeps, hostNameCommands } from './apps/host-name.ts';
import { ingestionCommands } from './apps/ingestion.ts';
import { type LaunchDeps, launchCommands } from './apps/launch.ts';
import { type LaunchAccessDeps, launchAccessCommands } from './apps/launch-access.ts';
import { repositoryCommands } from './apps/repository.ts';
import { sandboxCommands } from './apps/sandbox.ts';
import { tagCommands } from './apps/tag.ts';
import { webhookCommands } from './apps/webhook.ts';
import { type WorkspaceDeps, workspaceCommands } from './apps/workspace.ts';
import { cloneCommands } from './apps/workspace-clone.ts';
import { snapshotCommands } from './apps/workspace-snapshot.ts';
import { deadLetterCommands } from './platform/dead-letter.ts';
import { type ProjectionDeps, projectionCommands } from './platform/projection.ts';

export type CommandDeps = ProjectionDeps &
  SessionDeps &
  SignInDeps &
  LaunchDeps &
  WorkspaceDeps &
  BuildInputDeps &
  LaunchAccessDeps &
  HostNameDeps & {
    readonly allowLocalRepositories: boolean;
    /** Of the platform; each app's own is derived from it. */
    readonly webhookSecret: string;
  };

export async function registerCommands(app: FastifyInstance, deps: CommandDeps): Promise<void> {
  await app.register(repositoryCommands(deps));
  await app.register(tagCommands(deps));
  await app.register(ingestionCommands(deps));
  await app.register(buildCommands(deps));
  await app.register(imageCommands(deps));
  await app.register(buildInputCommands(deps));
  await app.register(launchCommands(deps));
  await app.register(deploymentCommands(deps));
  await app.register(launchAccessCommands(deps));
  await app.register(hostNameCommands(deps));
  await app.register(sandboxCommands(deps));
  await app.register(workspaceCommands(deps));
  await app.register(cloneCommands(deps));
  await app.register(snapshotCommands(deps));
  await app.register(webhookCommands(deps));
  await app.register(projectionCommands(deps));
  await app.register(deadLetterCommands(deps));
  await app.register(apiKeyCommands(deps));
  await app.register(auditTreeCommands(deps));
  await app.register(sessionCommands(deps));
  await app.register(signInCommands(deps));
  await app.register(providerSessionCommands(deps));
}
