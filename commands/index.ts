/** Every route that changes something. */
import type { FastifyInstance } from 'fastify';
import type { EventStore } from '../eventstore/store.ts';
import type { Operators } from '../platform/operators.ts';
import { apiKeyCommands } from './access/api-key.ts';
import { type SessionTimes, sessionCommands } from './access/session.ts';
import { buildCommands } from './apps/build.ts';
import { ingestionCommands } from './apps/ingestion.ts';
import { launchCommands } from './apps/launch.ts';
import { repositoryCommands } from './apps/repository.ts';
import { tagCommands } from './apps/tag.ts';
import { webhookCommands } from './apps/webhook.ts';
import type { Clock } from './clock.ts';

export type CommandDeps = {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly allowLocalRepositories: boolean;
  readonly signInOperators: Operators;
  readonly sessionTimes: SessionTimes;
  /** Of the platform; each app's own is derived from it. */
  readonly webhookSecret: string;
};

export async function registerCommands(app: FastifyInstance, deps: CommandDeps): Promise<void> {
  await app.register(repositoryCommands(deps));
  await app.register(tagCommands(deps));
  await app.register(ingestionCommands(deps));
  await app.register(buildCommands(deps));
  await app.register(launchCommands(deps));
  await app.register(webhookCommands(deps));
  await app.register(apiKeyCommands(deps));
  await app.register(sessionCommands(deps));
}
