/**
 * Checks a log's directory from its files alone: the checksum of every record, order of positions and revisions, and every
 * index entry both ways: what the index names is in the segment, and what is in the segment is found by the index.
 * Changes nothing. Beside a running log it sees what was written when it came to the last segment.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { type FoundFile, listFiles, readBytesNow, segmentPath } from './segment-files.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from './segment-format.ts';
import { keyOf, MemoryIndex } from './segment-index.ts';
import { IndexCache, IndexFile } from './segment-index-reader.ts';
import { findGap, segmentsInForce } from './segment-recovery.ts';
import { findLaterGroup, scanSegment } from './segment-scan.ts';
import { decodeRecordedPlace, tombstoneRevision } from './wire-record.ts';

type Problem = {
  readonly file: string;
  readonly position: number | undefined;
  readonly problem: string;
};

export type Verified = {
  readonly segments: number;
  readonly records: number;
  readonly bytes: number;
  readonly lastPosition: number;
  /** Bytes of an append that a crash cut short; the next start removes them. Not a problem. */
  readonly tornBytes: number;
  readonly indexEntries: number;
  /** Of closed segments; the next start makes them. Not a problem. */
  readonly missingIndexes: number;
  readonly problems: readonly Problem[];
};

const problemsMax = 1000;
/** Beyond so many streams revisions are compared within each segment only. */
const streamsMax = 1_000_000;

class Verification {
  readonly problems: Problem[] = [];
  segments = 0;
  records = 0;
  bytes = 0;
  lastPosition = 0;
  tornBytes = 0;
  indexEntries = 0;
  missingIndexes = 0;
  /** Once something was scavenged, revisions may have holes. */
  scavenged = false;
  readonly heads = new Map<string, number>();

  report(file: string, position: number | undefined, problem: string): void {
    if (this.problems.length < problemsMax)
      this.problems.push({ file: path.basename(file), position, problem });
  }

  noteRecord(file: string, stream: string, revision: number, position: number): void {
    this.records += 1;
    if (position <= this.lastPosition)
      this.report(file, position, `comes after position ${this.lastPosition}`);
    this.lastPosition = position;
    const head = this.heads.get(stream);
    const next = (head ?? -1) + 1;
    // Past `streamsMax` a stream may be one that is not remembered.
    const isHoleAllowed = this.scavenged || (head === undefined && this.heads.size >= streamsMax);
    const follows = revision === next || revision === tombstoneRevision || (isHoleAllowed && revision > next);
    if (!follows) this.report(file, position, `revision ${revision} of ${stream} comes after ${next - 1}`);
    if (this.heads.size < streamsMax || head !== undefined) this.heads.set(stream, revision);
  }
}

async function verifySegment(
  run: Verification,
  file: string,
  found: FoundFile,
  isLast: boolean,
): Promise<MemoryIndex> {
  const index = new MemoryIndex();
  const fd = fs.openSync(file, 'r');
  try {
    const { salt } = decodeSegmentHeader(readBytesNow(fd, 0, segmentHeaderBytes), found.base);
    const bytes = fs.fstatSync(fd).size;
    let pending: { offset: number; stream: string; revision: number; position: number }[] = [];
    const end = await scanSegment(fd, salt, segmentHeaderBytes, bytes, ({ offset, wire, commit }) => {
      pending.push({ offset, ...decodeRecordedPlace(wire) });
      if (!commit) return;
      for (const { offset: at, stream, revision, position } of pending) {
        if (found.generation === 0 && position !== found.base + at)
          run.report(file, position, 'is not where it says');
        run.noteRecord(file, stream, revision, position);
        index.add(stream, revision, position - found.base, at);
      }
      pending = [];
    });
    run.bytes += bytes;
    if (end.committedTo === bytes) return index;
    const isTorn = isLast && (await findLaterGroup(fd, salt, found.base, end.stoppedAt, bytes)) === undefined;
    if (isTorn) run.tornBytes = bytes - end.committedTo;
    else run.report(file, found.base + end.stoppedAt, `is damaged from byte ${end.stoppedAt} on`);
    return index;
  } finally {
    fs.closeSync(fd);
  }
}

function verifyIndex(run: Verification, file: string, base: number, expected: MemoryIndex): void {
  const cache = new IndexCache();
  try {
    const index = new IndexFile(cache, file, base);
    for (const [stream, span] of index.streams()) {
      const known = expected.streams.get(stream);
      if (known === undefined) run.report(file, undefined, `names ${stream}, which is not in the segment`);
      for (let at = 0; at < span.count; at += 1) {
        run.indexEntries += 1;
        const isThere =
          known?.offsetAt(at) === span.offsetAt(at) && known.revisionAt(at) === span.revisionAt(at);
        if (!isThere)
          run.report(file, base + span.offsetAt(at), `entry ${at} of ${stream} is not in the segment`);
      }
    }
    for (const [stream, span] of expected.streams) {
      const found = index.span(keyOf(stream));
      if (found?.count !== span.count)
        run.report(file, undefined, `finds ${found?.count ?? 0} of ${span.count} records of ${stream}`);
    }
    const marks = index.marks();
    const wanted = expected.marks();
    for (let at = 0; at < Math.max(marks.count, wanted.count); at += 1) {
      const isSame =
        at < marks.count &&
        marks.places[at] === wanted.places[at] &&
        marks.offsets[at] === wanted.offsets[at];
      if (!isSame) run.report(file, undefined, `mark ${at} is wrong`);
    }
  } catch (error) {
    run.report(file, base, error instanceof Error ? error.message : String(error));
  } finally {
    cache.close();
  }
}

/** What is in the directory and whether all of it is sound. An empty list of problems means that it is. */
export async function verifyStorage(directory: string): Promise<Verified> {
  const run = new Verification();
  const segments = segmentsInForce(listFiles(directory));
  reportGap(run, directory, segments);
  for (const [at, found] of segments.entries()) {
    const file = segmentPath(directory, found, 'segment');
    const isLast = at === segments.length - 1;
    run.segments += 1;
    if (found.generation > 0) run.scavenged = true;
    try {
      const index = await verifySegment(run, file, found, isLast);
      const indexFile = segmentPath(directory, found, 'index');
      if (!isLast && fs.existsSync(indexFile)) verifyIndex(run, indexFile, found.base, index);
      else if (!isLast) run.missingIndexes += 1;
    } catch (error) {
      run.report(file, found.base, error instanceof Error ? error.message : String(error));
    }
  }
  const { heads: _heads, scavenged: _scavenged, ...verified } = run;
  return verified;
}

function reportGap(run: Verification, directory: string, segments: readonly FoundFile[]): void {
  try {
    const gap = findGap(directory, segments);
    if (gap !== undefined) run.report(directory, gap, 'a part of the log is missing');
  } catch (error) {
    run.report(directory, undefined, error instanceof Error ? error.message : String(error));
  }
}
