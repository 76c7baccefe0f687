/**
 * Purpose: the crash-safe outbox that agent and relay share. Records go in at the end, are read oldest first, and are
 * forgotten once acknowledged. Plain files, no native module.
 *
 * Constraints: what `append` resolved survives `kill -9` and power loss; what it rejected was never readable while this
 * process lives and is cut off as soon as the disk allows; readers see only what is synced. One process per directory.
 * Memory is bounded by one mark per 64 KiB of spool and one per minute, not by the number of records.
 *
 * On disk (docs/specs/spool.md, the tests are named after its clauses):
 *
 *     <dir>/lock                                    who has it open
 *     <dir>/acked                                   two slots; the higher valid position counts
 *     <dir>/<sequence>-<first>-<marker>.seg         records: marker · crc · length · position · time · payload
 *
 * Appends that arrive while a sync is under way share the next one (group commit): each write is one buffer, one write,
 * one fdatasync. A segment that is full is sealed; a new one is made with its name synced before its first record counts.
 * After a failed write or sync the segment is cut back to what is committed and never written again: a file whose sync
 * failed once cannot be trusted to report the next failure. The next segment's first position outranks anything the
 * failed write may have left behind.
 *
 * Recovery at open reads everything once, steps over damage by searching for the next marker, reports it, cuts a torn
 * end. The spool may hand out a record twice (the last acks can be lost, a directory can be an old copy), never an
 * invented one; receivers are idempotent.
 *
 * When full, `append` refuses the whole call with `spool-full` and writes nothing. It never drops what it acknowledged.
 */
import { randomBytes } from "node:crypto";
import { dirname, join, resolve as resolvePath } from "node:path";
import { systemClock, type Clock, type Log } from "@daicho/kernel";
import { openAckedFile } from "./acked.ts";
import { spoolErrors } from "./errors.ts";
import { encodeRecord, headerBytes, maxRecordBytes } from "./format.ts";
import { nodeFs, reasonOf, type SpoolFile, type SpoolFs } from "./fs.ts";
import { lockDirectory } from "./lock.ts";
import { createScanner, isDamaged } from "./scan.ts";
import { countAfter, markFor, newSegment, note, recoverSegments, type Damage, type Segment } from "./segment.ts";

export interface SpoolOptions {
  /** Made when it is not there. */
  readonly dir: string;
  /** Bytes on disk the spool may take, segments and record headers included. */
  readonly maxBytes: number;
  /** A segment is sealed at about this size; whole segments are what is deleted. Default: maxBytes / 8, at most 8 MiB. */
  readonly segmentBytes?: number;
  readonly fs?: SpoolFs;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface SpoolRecord {
  /** Rises by one with every record appended; has holes only where records were damaged. */
  readonly position: number;
  /** When it was appended, milliseconds since 1970. */
  readonly at: number;
  readonly data: Buffer;
}

export interface SpoolStats {
  /** Records not acknowledged yet. */
  readonly records: number;
  /** Bytes on disk, acknowledged records in segments not yet deleted included. */
  readonly bytes: number;
  /** When the oldest unacknowledged record was appended; may be early by up to 64 KiB of records. */
  readonly oldestAt: number | undefined;
  /** Position of the newest record and of the newest acknowledged one; 0 = none yet. */
  readonly last: number;
  readonly acked: number;
  /** How many damaged places have been met since opening, and how many bytes they span. */
  readonly damagedPlaces: number;
  readonly damagedBytes: number;
}

export interface Spool {
  /**
   * Resolves when all of the records would survive `kill -9` and power loss; all or none of them. The buffers must stay
   * unchanged until then. @throws spool-full, spool-io, spool-record-too-large, spool-closed
   */
  append(records: readonly Uint8Array[]): Promise<{ first: number; last: number }>;
  /**
   * Unacknowledged records from position `from` on, oldest first, as many as fit the limits (one at least, if there is
   * one). @throws spool-io, spool-closed
   */
  read(from: number, limits: { maxRecords: number; maxBytes: number }): Promise<readonly SpoolRecord[]>;
  /** Records up to and including `upTo` are done and will not be read again (but may be after a crash). Never rejects. */
  ack(upTo: number): Promise<void>;
  stats(): SpoolStats;
  /** What was found damaged, at open or while reading; the first hundred places. */
  damage(): readonly Damage[];
  /** Waits for appends under way, then gives the directory free. */
  close(): Promise<void>;
}

interface Waiting {
  readonly records: readonly Uint8Array[];
  readonly bytes: number;
  readonly resolve: (span: { first: number; last: number }) => void;
  readonly reject: (error: unknown) => void;
}

/** Appends beyond this wait for the next sync, so that one write stays one bounded buffer. */
const groupBytes = 8 * 1024 * 1024;
const damageKept = 100;

/** @throws spool-locked, spool-io */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const { dir, maxBytes, fs = nodeFs, log, clock = systemClock } = options;
  const segmentBytes = options.segmentBytes ?? Math.max(64 * 1024, Math.min(8 * 1024 * 1024, Math.floor(maxBytes / 8)));
  const failure = (operation: string, error: unknown): Error =>
    reasonOf(error) === "ENOSPC" || reasonOf(error) === "EDQUOT"
      ? spoolErrors.make("spool-full", { dir, bytes: queuedBytes, reason: reasonOf(error) }, { cause: error })
      : spoolErrors.make("spool-io", { dir, operation, reason: reasonOf(error) }, { cause: error });

  let queue: Waiting[] = [];
  let queuedBytes = 0;
  let writing: Promise<void> | undefined;
  let active: { segment: Segment; file: SpoolFile } | undefined;
  let closed = false;
  const damages: Damage[] = [];
  let damagedPlaces = 0;
  let damagedBytes = 0;

  try {
    await fs.mkdir(dir);
    await fs.syncDir(dirname(resolvePath(dir)));
  } catch (error) {
    throw failure("make its directory", error);
  }
  const lock = await lockDirectory(dir);
  const { acked, recovered } = await recover().catch(async (error: unknown) => {
    await lock.release();
    throw failure("be opened", error);
  });
  const segments = recovered.segments;
  let { nextPosition, nextSequence } = recovered;
  let used = segments.reduce((sum, segment) => sum + segment.size, 0);
  for (const found of recovered.damage) report(found);
  await deleteAcked();

  async function recover() {
    const onError = (error: unknown): void => log.warn("spool-ack-not-saved", { reason: reasonOf(error) });
    const acked = await openAckedFile({ fs, path: join(dir, "acked"), onError });
    try {
      return { acked, recovered: await recoverSegments({ fs, dir, acked: acked.position }) };
    } catch (error) {
      await acked.close();
      throw error;
    }
  }

  function report(found: Damage): void {
    damagedPlaces++;
    damagedBytes += found.bytes;
    if (damages.length < damageKept) damages.push(found);
    log.warn("spool-damage", { kind: found.kind, file: found.file, offset: found.offset, bytes: found.bytes });
  }

  // --- append ---------------------------------------------------------------------------------------------------------

  async function append(records: readonly Uint8Array[]): Promise<{ first: number; last: number }> {
    if (closed) throw spoolErrors.make("spool-closed", { dir });
    if (records.length === 0) return { first: nextPosition, last: nextPosition - 1 };
    let bytes = 0;
    for (const record of records) {
      if (record.length > maxRecordBytes)
        throw spoolErrors.make("spool-record-too-large", { bytes: record.length, limit: maxRecordBytes });
      bytes += headerBytes + record.length;
    }
    if (used - reclaimable() + queuedBytes + bytes > maxBytes)
      throw spoolErrors.make("spool-full", { dir, bytes, reason: "limit" });
    queuedBytes += bytes;
    return new Promise((resolve, reject) => {
      queue.push({ records, bytes, resolve, reject });
      writing ??= drain();
    });
  }

  /** Bytes of the segment being written to, when all of it is acknowledged: it can go as soon as room is needed. */
  function reclaimable(): number {
    return active !== undefined && active.segment.last <= acked.position ? active.segment.size : 0;
  }

  async function drain(): Promise<void> {
    // Let everything that arrives in this turn of the event loop share the first sync too.
    await Promise.resolve();
    while (queue.length > 0) {
      const group = takeGroup();
      const bytes = group.reduce((sum, waiting) => sum + waiting.bytes, 0);
      try {
        const spans = await commit(group, bytes);
        queuedBytes -= bytes;
        for (const [index, waiting] of group.entries()) waiting.resolve(spans[index] ?? { first: 0, last: 0 });
      } catch (error) {
        const reason = failure("be written", error);
        queuedBytes -= bytes;
        log.error("spool-append-failed", { reason: reasonOf(error), bytes });
        for (const waiting of group) waiting.reject(reason);
      }
    }
    // In the same turn as the last look at the queue: an append made by a caller just answered starts the next drain.
    writing = undefined;
  }

  function takeGroup(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of queue) {
      if (count > 0 && bytes + waiting.bytes > groupBytes) break;
      bytes += waiting.bytes;
      count++;
    }
    const group = queue.slice(0, count);
    queue = queue.slice(count);
    return group;
  }

  async function commit(group: readonly Waiting[], bytes: number): Promise<{ first: number; last: number }[]> {
    const { segment, file } = await segmentFor(bytes);
    const at = clock.now();
    const buffer = Buffer.allocUnsafe(bytes);
    const noted: { position: number; at: number; offset: number }[] = [];
    const spans: { first: number; last: number }[] = [];
    let position = nextPosition;
    let offset = 0;
    for (const { records } of group) {
      const first = position;
      for (const data of records) {
        noted.push({ position, at, offset: segment.size + offset });
        offset = encodeRecord(buffer, offset, { marker: segment.name.marker, position, at, data });
        position++;
      }
      spans.push({ first, last: position - 1 });
    }
    try {
      await file.write(buffer, segment.size);
      await file.datasync();
    } catch (error) {
      await seal("cut");
      throw error;
    }
    for (const record of noted) note(segment, record, record.offset);
    segment.size += bytes;
    used += bytes;
    nextPosition = position;
    return spans;
  }

  async function segmentFor(bytes: number): Promise<{ segment: Segment; file: SpoolFile }> {
    if (active !== undefined && active.segment.size > 0) {
      const full = active.segment.size + bytes > segmentBytes;
      if (full || (used + bytes > maxBytes && reclaimable() > 0)) await seal("keep");
    }
    if (active !== undefined) return active;
    const name = { sequence: nextSequence++, first: nextPosition, marker: randomBytes(8) };
    const segment = newSegment(dir, name);
    const file = await fs.open(segment.path, "create");
    active = { segment, file };
    segments.push(segment);
    try {
      await fs.syncDir(dir);
    } catch (error) {
      await seal("cut");
      throw error;
    }
    return active;
  }

  /** Ends writing to the active segment; `cut` after a failure: whatever is behind the committed bytes must not be read. */
  async function seal(how: "keep" | "cut"): Promise<void> {
    if (active === undefined) return;
    const { segment, file } = active;
    active = undefined;
    if (how === "cut") {
      try {
        await file.truncate(segment.size);
        await file.datasync();
      } catch (error) {
        log.error("spool-cut-failed", { file: segment.file, reason: reasonOf(error) });
      }
    }
    await file.close().catch(() => undefined);
    await deleteAcked();
  }

  // --- read -----------------------------------------------------------------------------------------------------------

  async function read(from: number, limits: { maxRecords: number; maxBytes: number }): Promise<SpoolRecord[]> {
    if (closed) throw spoolErrors.make("spool-closed", { dir });
    const records: SpoolRecord[] = [];
    let bytes = 0;
    let position = Math.max(from, acked.position + 1);
    for (;;) {
      const segment = segments.find((candidate) => candidate.last >= position);
      if (segment === undefined) return records;
      const full = await readSegment(segment, position, (record) => {
        if (records.length > 0 && bytes + record.data.length > limits.maxBytes) return true;
        records.push(record);
        bytes += record.data.length;
        return records.length >= limits.maxRecords || bytes >= limits.maxBytes;
      });
      if (full) return records;
      position = segment.last + 1;
    }
  }

  /** Gives each record from `position` on to `take` until it has enough; true = it has. */
  async function readSegment(
    segment: Segment,
    position: number,
    take: (record: SpoolRecord) => boolean,
  ): Promise<boolean> {
    const mark = markFor(segment, position);
    const { size, last } = segment;
    let file: SpoolFile;
    try {
      file = await fs.open(segment.path, "read");
    } catch (error) {
      // Acknowledged and deleted while this read was on its way to it.
      if (segment.last <= acked.position) return false;
      throw failure("be read", error);
    }
    try {
      const { marker, first } = segment.name;
      const start = mark?.offset ?? 0;
      const scanner = createScanner({
        file,
        marker,
        start,
        end: size,
        last,
        first: mark?.position ?? first,
        chunkBytes: 256 * 1024,
      });
      for (let items = await scanner.next(); items !== undefined; items = await scanner.next()) {
        for (const item of items) {
          if (isDamaged(item)) noticeDamage({ file: segment.file, ...item });
          else if (item.position >= position && take({ position: item.position, at: item.at, data: item.data }))
            return true;
        }
      }
      return false;
    } catch (error) {
      throw failure("be read", error);
    } finally {
      await file.close().catch(() => undefined);
    }
  }

  /** Damage met while reading is reported once: most of it was reported at open already. */
  function noticeDamage(found: Damage): void {
    if (damages.length >= damageKept) return;
    if (!damages.some((known) => known.file === found.file && known.offset === found.offset)) report(found);
  }

  // --- ack ------------------------------------------------------------------------------------------------------------

  async function ack(upTo: number): Promise<void> {
    const position = Math.min(upTo, nextPosition - 1);
    if (closed || position <= acked.position) return;
    await acked.advance(position);
    await deleteAcked();
  }

  async function deleteAcked(): Promise<void> {
    for (;;) {
      const segment = segments[0];
      if (segment === undefined || segment === active?.segment || segment.last > acked.position) return;
      segments.shift();
      used -= segment.size;
      try {
        await fs.unlink(segment.path);
      } catch (error) {
        // It stays on disk until the next start finds it acknowledged and deletes it.
        log.warn("spool-segment-not-deleted", { file: segment.file, reason: reasonOf(error) });
      }
    }
  }

  function stats(): SpoolStats {
    const records = segments.reduce((sum, segment) => sum + countAfter(segment, acked.position), 0);
    const oldest = segments.find((segment) => segment.last > acked.position);
    return {
      records,
      bytes: used,
      last: nextPosition - 1,
      acked: acked.position,
      damagedPlaces,
      damagedBytes,
      oldestAt: oldest === undefined ? undefined : markFor(oldest, acked.position + 1)?.at,
    };
  }

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    await writing;
    await seal("keep");
    await acked.close();
    await lock.release();
  }

  return { append, read, ack, stats, damage: () => [...damages], close };
}
