/** Every projection of the platform, in no order that matters: each owns its tables and none reads another's. */
import { apiKeys } from './access/api-key.ts';
import { audit } from './access/audit.ts';
import { auditKeys } from './access/audit-key.ts';
import { sessions } from './access/session.ts';
import { builds } from './apps/build.ts';
import { images } from './apps/build-image.ts';
import { buildInputs } from './apps/build-input.ts';
import { history } from './apps/history.ts';
import { hostNames } from './apps/host-name.ts';
import { ingestions } from './apps/ingestion.ts';
import { launches } from './apps/launch.ts';
import { quotas } from './apps/quota.ts';
import { repositories } from './apps/repository.ts';
import { search } from './apps/search.ts';
import { tags } from './apps/tag.ts';
import { usageSums } from './apps/usage.ts';
import { workspaces } from './apps/workspace.ts';
import type { Projection } from './projection.ts';

export const projections: readonly Projection[] = [
  repositories,
  ingestions,
  builds,
  images,
  buildInputs,
  launches,
  hostNames,
  workspaces,
  usageSums,
  quotas,
  history,
  search,
  tags,
  apiKeys,
  sessions,
  audit,
  auditKeys,
];
