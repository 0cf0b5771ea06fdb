/**
 * The tree over all events: under which name and with which keys it is signed. There is one, of the id `main`.
 *
 *   begun ──► key rotated* ──► begun again, under another name and with a key nobody vouches for
 *
 * What is asked for (another key, a rebuild, a new beginning) is done by the worker that keeps the tree and holds its key.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { Refusal } from '../kernel/refusal.ts';

type OfTree = { treeId: string; at: string };
/** Public keys are written as in signed notes: `name+id+base64`. */
type Begun = OfTree & { origin: string; key: string; previousKey: string | null; because: string | null };
type KeyRotated = OfTree & {
  from: string;
  to: string;
  /** A note that both keys have signed. */
  statement: string;
};
type Rebuilt = OfTree & { size: number; root: string; agrees: boolean };
type Diverged = OfTree & {
  origin: string;
  kind: 'rewritten' | 'truncated' | 'damaged';
  /** Of the signed checkpoint that does not hold any more. */
  size: number;
  signedRoot: string;
  foundRoot: string | null;
  /** The last size whose checkpoint still holds: the first difference lies behind it. */
  soundSize: number;
};

export type AuditTreeEvent =
  | { type: 'AuditTreeBegun'; data: Begun }
  | { type: 'AuditKeyRotationRequested'; data: OfTree }
  | { type: 'AuditKeyRotated'; data: KeyRotated }
  | { type: 'AuditTreeRestartRequested'; data: OfTree & { because: string } }
  | { type: 'AuditTreeRebuildRequested'; data: OfTree }
  | { type: 'AuditTreeRebuilt'; data: Rebuilt }
  | { type: 'AuditTreeDiverged'; data: Diverged };

export type AuditTreeCommand =
  | { type: 'BeginAuditTree'; data: OfTree & { origin: string; key: string } }
  | { type: 'RequestAuditKeyRotation'; data: OfTree }
  | { type: 'RotateAuditKey'; data: KeyRotated }
  | { type: 'RequestAuditTreeRestart'; data: OfTree & { because: string } }
  | { type: 'RequestAuditTreeRebuild'; data: OfTree }
  | { type: 'ReportAuditTreeRebuilt'; data: Rebuilt }
  | { type: 'ReportAuditTreeDiverged'; data: Diverged };

export type AuditTreeState = {
  /** Null: it has not begun. */
  readonly origin: string | null;
  readonly key: string | null;
  readonly beginnings: number;
  readonly rotationWanted: boolean;
  /** Why it is to begin again; null: nobody asked. */
  readonly restartBecause: string | null;
  readonly rebuildWanted: boolean;
  /** Reported since it began, so that the same is not reported again. */
  readonly diverged: { readonly kind: Diverged['kind']; readonly size: number } | null;
};

export const auditTreeId = 'main';

export const auditTree: Decider<AuditTreeState, AuditTreeCommand, AuditTreeEvent> = {
  category: 'access.audit-tree',
  initialState: {
    origin: null,
    key: null,
    beginnings: 0,
    rotationWanted: false,
    restartBecause: null,
    rebuildWanted: false,
    diverged: null,
  },

  evolve(state, event) {
    switch (event.type) {
      case 'AuditTreeBegun': {
        const { origin, key } = event.data;
        const { beginnings, rebuildWanted } = state;
        return { ...auditTree.initialState, origin, key, beginnings: beginnings + 1, rebuildWanted };
      }
      case 'AuditKeyRotationRequested':
        return { ...state, rotationWanted: true };
      case 'AuditKeyRotated':
        return { ...state, key: event.data.to, rotationWanted: false };
      case 'AuditTreeRestartRequested':
        return { ...state, restartBecause: event.data.because };
      case 'AuditTreeRebuildRequested':
        return { ...state, rebuildWanted: true };
      case 'AuditTreeRebuilt':
        return { ...state, rebuildWanted: false };
      case 'AuditTreeDiverged':
        return { ...state, diverged: { kind: event.data.kind, size: event.data.size } };
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    const { treeId, at } = command.data;
    if (command.type === 'BeginAuditTree') return begin(command.data, state);
    if (state.origin === null) throw new Refusal('not-found', { treeId });
    switch (command.type) {
      case 'RequestAuditKeyRotation':
        return state.rotationWanted ? [] : [{ type: 'AuditKeyRotationRequested', data: { treeId, at } }];
      case 'RotateAuditKey':
        if (state.key === command.data.to) return [];
        if (state.key !== command.data.from) throw new Refusal('audit-tree/foreign-key', { key: state.key });
        return [{ type: 'AuditKeyRotated', data: command.data }];
      case 'RequestAuditTreeRestart':
        return state.restartBecause === null
          ? [{ type: 'AuditTreeRestartRequested', data: command.data }]
          : [];
      case 'RequestAuditTreeRebuild':
        return state.rebuildWanted ? [] : [{ type: 'AuditTreeRebuildRequested', data: { treeId, at } }];
      case 'ReportAuditTreeRebuilt':
        return state.rebuildWanted ? [{ type: 'AuditTreeRebuilt', data: command.data }] : [];
      case 'ReportAuditTreeDiverged': {
        const { kind, size } = command.data;
        const isKnown = state.diverged?.kind === kind && state.diverged.size === size;
        return isKnown ? [] : [{ type: 'AuditTreeDiverged', data: command.data }];
      }
      default:
        return unreachable(command);
    }
  },
};

function begin(
  { treeId, at, origin, key }: Extract<AuditTreeCommand, { type: 'BeginAuditTree' }>['data'],
  state: AuditTreeState,
): readonly AuditTreeEvent[] {
  if (state.key === key && state.origin === origin) return [];
  if (state.origin !== null && state.restartBecause === null)
    throw new Refusal('audit-tree/foreign-key', { key: state.key });
  const data = { treeId, at, origin, key, previousKey: state.key, because: state.restartBecause };
  return [{ type: 'AuditTreeBegun', data }];
}
