/** What the environment says of the audit tree, the self-audit and alarms. Throws an Error that says what would be right. */

import { readWitnesses, type WitnessConfig } from './audit-witness-config.ts';
import type { LagLimits } from './projection-lag.ts';
import { isKeyName } from './proof/note.ts';

type Env = Readonly<Record<string, string | undefined>>;

export type AuditConfig = {
  readonly enabled: boolean;
  /** The name the tree is signed under; undefined: made of where people reach AppHub. Counts on the first start only. */
  readonly origin: string | undefined;
  readonly checkpointEvents: number;
  readonly checkpointSeconds: number;
  readonly witnesses: readonly WitnessConfig[];
  /** The part of its time that the self-audit of the tables works at most, 0: never; and how often it begins at most. */
  readonly selfPercent: number;
  readonly selfSeconds: number;
  /** From where on health is degraded and an event tells. */
  readonly alerts: LagLimits;
  /** What a start refuses to go on with. */
  readonly upgradeGate: (typeof gates)[number];
};

const gates = ['known', 'strict', 'off'] as const;

const eventsMax = 1_000_000;
const secondsMax = 86_400;

export function readAudit(env: Env): AuditConfig {
  const origin = env.APPHUB_AUDIT_ORIGIN?.trim() || undefined;
  if (origin !== undefined && !isKeyName(origin))
    throw new Error(`APPHUB_AUDIT_ORIGIN is "${origin}"; it must have neither spaces nor a plus sign`);
  return {
    enabled: flag(env, 'APPHUB_AUDIT_TREE'),
    origin,
    checkpointEvents: whole(env, 'APPHUB_AUDIT_CHECKPOINT_EVENTS', 1_000, eventsMax),
    checkpointSeconds: whole(env, 'APPHUB_AUDIT_CHECKPOINT_SECONDS', 60, secondsMax),
    witnesses: readWitnesses(env.APPHUB_AUDIT_WITNESSES),
    selfPercent: whole(env, 'APPHUB_SELF_AUDIT_PERCENT', 5, 100, 0),
    selfSeconds: whole(env, 'APPHUB_SELF_AUDIT_SECONDS', 60, secondsMax),
    upgradeGate: gate(env),
    alerts: {
      lagSeconds: whole(env, 'APPHUB_LAG_SECONDS_MAX', 60, secondsMax),
      lagEvents: whole(env, 'APPHUB_LAG_EVENTS_MAX', 10_000, 10_000),
      deadLetters: whole(env, 'APPHUB_DEAD_LETTERS_MAX', 0, 1_000, 0),
    },
  };
}

function gate(env: Env): AuditConfig['upgradeGate'] {
  const given = env.APPHUB_UPGRADE_GATE?.trim().toLowerCase() || 'known';
  const found = gates.find(one => one === given);
  if (found !== undefined) return found;
  throw new Error(`APPHUB_UPGRADE_GATE is "${given}"; it must be one of ${gates.join(', ')}`);
}

function flag(env: Env, name: string): boolean {
  const given = env[name]?.trim().toLowerCase() || 'true';
  if (['1', 'true', 'yes', 'on'].includes(given)) return true;
  if (['0', 'false', 'no', 'off'].includes(given)) return false;
  throw new Error(`${name} is "${given}"; it must be true or false`);
}

function whole(env: Env, name: string, byDefault: number, max: number, min = 1): number {
  const given = env[name]?.trim() || String(byDefault);
  const value = Number(given);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`${name} is "${given}"; it must be a whole number from ${min} to ${max}`);
}
