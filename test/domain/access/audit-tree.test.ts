import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type AuditTreeCommand, type AuditTreeEvent, auditTree } from '../../../domain/access/audit-tree.ts';
import { fold } from '../../../domain/kernel/decider.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const treeId = 'main';
const at = '2026-01-02T03:00:00.000Z';
const of = { treeId, at };
const origin = 'apphub.example/audit';
const begin = (key = 'a', name = origin): AuditTreeCommand => ({
  type: 'BeginAuditTree',
  data: { ...of, origin: name, key },
});
const begun: AuditTreeEvent = {
  type: 'AuditTreeBegun',
  data: { ...of, origin, key: 'a', previousKey: null, because: null },
};
const asked: AuditTreeEvent = { type: 'AuditKeyRotationRequested', data: of };
const rotation = { ...of, from: 'a', to: 'b', statement: 'signed by both' };
const rotated: AuditTreeEvent = { type: 'AuditKeyRotated', data: rotation };
const restart: AuditTreeEvent = {
  type: 'AuditTreeRestartRequested',
  data: { ...of, because: 'restored from a backup' },
};
const divergence = {
  ...of,
  origin,
  kind: 'rewritten',
  size: 10,
  signedRoot: 'x',
  foundRoot: 'y',
  soundSize: 5,
} as const;
const diverged: AuditTreeEvent = { type: 'AuditTreeDiverged', data: divergence };

suite('the audit tree', () => {
  test('begins once; with the same key it has begun already, with another it has not', () => {
    given(auditTree, []).when(begin()).gives([begun]);
    given(auditTree, [begun]).when(begin()).gives([]);
    given(auditTree, [begun]).when(begin('b')).gives('audit-tree/foreign-key');
    given(auditTree, [begun]).when(begin('a', 'other')).gives('audit-tree/foreign-key');
  });

  test('changes its key when the key before says so', () => {
    const ask: AuditTreeCommand = { type: 'RequestAuditKeyRotation', data: of };
    const rotate: AuditTreeCommand = { type: 'RotateAuditKey', data: rotation };
    given(auditTree, []).when(ask).gives('not-found');
    given(auditTree, [begun]).when(ask).gives([asked]);
    given(auditTree, [begun, asked]).when(ask).gives([]);
    given(auditTree, [begun, asked]).when(rotate).gives([rotated]);
    given(auditTree, [begun, asked, rotated]).when(rotate).gives([]);
    given(auditTree, [begun, asked, rotated]).when(ask).gives([asked]);
    const foreign: AuditTreeCommand = { type: 'RotateAuditKey', data: { ...rotation, from: 'c', to: 'd' } };
    given(auditTree, [begun, asked]).when(foreign).gives('audit-tree/foreign-key');
  });

  test('begins again where somebody asked for it, and says why', () => {
    const { because } = restart.data as { because: string };
    const ask: AuditTreeCommand = { type: 'RequestAuditTreeRestart', data: { ...of, because } };
    given(auditTree, [begun]).when(ask).gives([restart]);
    given(auditTree, [begun, restart]).when(ask).gives([]);
    const again: AuditTreeEvent = {
      type: 'AuditTreeBegun',
      data: { ...of, origin: `${origin}/2`, key: 'b', previousKey: 'a', because },
    };
    given(auditTree, [begun, restart])
      .when(begin('b', `${origin}/2`))
      .gives([again]);
    given(auditTree, [begun, restart, again]).when(begin('c')).gives('audit-tree/foreign-key');
    assert.equal(fold(auditTree, [begun, diverged, restart, again]).diverged, null);
    assert.equal(fold(auditTree, [begun, restart, again]).beginnings, 2);
  });

  test('is rebuilt when asked, and what came of it is said once', () => {
    const ask: AuditTreeCommand = { type: 'RequestAuditTreeRebuild', data: of };
    const wanted: AuditTreeEvent = { type: 'AuditTreeRebuildRequested', data: of };
    const outcome = { ...of, size: 3, root: 'r', agrees: true };
    const report: AuditTreeCommand = { type: 'ReportAuditTreeRebuilt', data: outcome };
    given(auditTree, [begun]).when(ask).gives([wanted]);
    given(auditTree, [begun, wanted]).when(ask).gives([]);
    given(auditTree, [begun]).when(report).gives([]);
    given(auditTree, [begun, wanted])
      .when(report)
      .gives([{ type: 'AuditTreeRebuilt', data: outcome }]);
  });

  test('reports a divergence once', () => {
    const report: AuditTreeCommand = { type: 'ReportAuditTreeDiverged', data: divergence };
    given(auditTree, [begun]).when(report).gives([diverged]);
    given(auditTree, [begun, diverged]).when(report).gives([]);
    const other: AuditTreeCommand = {
      type: 'ReportAuditTreeDiverged',
      data: { ...divergence, kind: 'truncated' },
    };
    given(auditTree, [begun, diverged])
      .when(other)
      .gives([{ type: 'AuditTreeDiverged', data: { ...divergence, kind: 'truncated' } }]);
  });

  test('answers anything that may be asked', () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const command: fc.Arbitrary<AuditTreeCommand> = fc.oneof(
      key.map(one => begin(one)),
      fc
        .tuple(key, key)
        .map(([from, to]): AuditTreeCommand => ({ type: 'RotateAuditKey', data: { ...rotation, from, to } })),
      fc.constantFrom<AuditTreeCommand[]>(
        { type: 'RequestAuditKeyRotation', data: of },
        { type: 'RequestAuditTreeRestart', data: { ...of, because: 'so' } },
        { type: 'RequestAuditTreeRebuild', data: of },
        { type: 'ReportAuditTreeRebuilt', data: { ...of, size: 3, root: 'r', agrees: true } },
        { type: 'ReportAuditTreeDiverged', data: divergence },
      ),
    );
    assert.equal(holdsForAnyCommands(auditTree, command, [[begin()]]).size, 7);
  });
});
