/** Rows of the apps that a credential is good for, and of no others, said in SQL. */
import type { Identity } from '../platform/auth.ts';

export type Reach = Identity['apps'];

/** A condition on the column `app_id`, with its values; `true` where the credential is good for all apps. */
export function within(apps: Reach): { readonly where: string; readonly bind: Record<string, unknown> } {
  if (apps === null) return { where: 'true', bind: {} };
  const ids = apps.filter(pattern => !pattern.endsWith('*'));
  const beginnings = apps
    .filter(pattern => pattern.endsWith('*'))
    .map(pattern => `${pattern.slice(0, -1).replace(/[\\%_]/g, '\\$&')}%`);
  const where =
    '(app_id = any(cast(:reachIds as text[])) or app_id like any(cast(:reachBeginnings as text[])))';
  return { where, bind: { reachIds: ids, reachBeginnings: beginnings } };
}
