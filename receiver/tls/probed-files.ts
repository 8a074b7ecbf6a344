// Files that processes run → those among them that hold a TLS library, each examined once, and probed once for all processes that map it.
import type { ExaminedFile } from './examine.ts';
import type { Finding, Probes, ProbeSite, Refused } from './probes.ts';
import type { TargetFile } from './target-file.ts';

export interface ProbedFilesOptions {
  readonly examine: (file: ExaminedFile) => Generator<void, readonly Finding[]>;
  /** What a file without known functions holds. */
  readonly recognize: (read: TargetFile['read']) => Generator<void, Refused | undefined>;
  /** All sites of a program, or an error. */
  readonly attach: (program: string, file: string, sites: readonly ProbeSite[]) => { close(): void };
  /**
   * Keeps the entry of a target, for as long as it is probed; its index is in the cookies of its sites, of which nothing is told before it
   * is activated. Throws when there is no room.
   */
  readonly addTarget: (target: Uint8Array | undefined) => { readonly index: number; activate(): void; close(): void };
  /** Pipeline time. */
  readonly now: () => number;
}

/** A file, as far as it is known. */
export interface ProbedFile {
  /** As /proc/PID/maps tells it apart; one for each mount on which the same file was met. */
  readonly keys: Set<string>;
  readonly path: string;
  readonly isProgram: boolean;
  readonly identity: string;
  findings: readonly Finding[];
  links: { close(): void }[];
  /** It was searched for what a library says of itself. */
  isRecognized: boolean;
  /** Probes are being put in place. */
  isBusy: boolean;
  /** Stays probed although nobody runs it. */
  isPinned: boolean;
  /** Processes that have it mapped, as far as known. */
  readonly pids: Set<number>;
  /** Pipeline time: a process was seen that has it. */
  seen: number;
}

export interface ProbedFilesCounters {
  /** Files that are probed now. */
  readonly probed: number;
  readonly sites: number;
  readonly examined: number;
  /** Files that hold a library that is not read, by `library: reason`. */
  readonly refused: Readonly<Record<string, number>>;
}

const MAX_FILES = 16_384;
const MAX_PROBED = 512;
const MAX_PIDS = 64;
/** The kernel patches every process that has the file, ten microseconds each. */
const MAX_SITES_AT_ONCE = 3;
/** Of the index of a target in the cookies of libraries: above their flags and number (bpf/event.h, probe_flag). */
const TARGET_SHIFT = 16n;

export class ProbedFiles {
  /** Files are examined, and probed later. */
  isHeld = false;
  readonly #options: ProbedFilesOptions;
  /** By what /proc/PID/maps says of them; the longest unused first. */
  readonly #files = new Map<string, ProbedFile>();
  readonly #byIdentity = new Map<string, ProbedFile>();
  readonly #refused = new Map<string, number>();
  #probed = 0;
  #sites = 0;
  #examined = 0;

  constructor(options: ProbedFilesOptions) {
    this.#options = options;
  }

  get(key: string): ProbedFile | undefined {
    return this.#files.get(key);
  }

  *[Symbol.iterator](): Generator<ProbedFile> {
    for (const file of this.#byIdentity.values()) if (file.links.length > 0) yield file;
  }

  /** Notes that a process has the file; true: there is nothing to find out about it. */
  note(key: string, pid: number | undefined): boolean {
    const file = this.#files.get(key);
    if (file === undefined) return false;
    this.#files.delete(key);
    this.#files.set(key, file);
    file.seen = this.#options.now();
    if (file.links.length === 0) return !file.findings.some(({ kind }) => kind === 'probes');
    if (pid !== undefined && file.pids.size < MAX_PIDS) file.pids.add(pid);
    return true;
  }

  /** Finds out what a file holds of which no function was found. Closes it. */
  *recognize(key: string, target: TargetFile): Generator<void, void> {
    const file = this.#files.get(key);
    if (file?.isRecognized === false && file.findings.length === 0 && file.identity === target.identity) {
      file.isRecognized = true;
      const finding = yield* this.#options.recognize(target.read);
      if (finding !== undefined) {
        file.findings = [finding];
        this.#note(finding, 1);
      }
    }
    target.close();
  }

  /** Examines the file if it is new or another than it was, and probes it unless that is held back. Closes it. */
  *ensure(
    key: string,
    target: TargetFile,
    path: string,
    isProgram: boolean,
    pid: number | undefined,
  ): Generator<void, ProbedFile> {
    let file = this.#files.get(key);
    if (file !== undefined && file.identity !== target.identity) {
      this.release(file);
      this.#forget(file);
      file = undefined;
    }
    const { identity } = target;
    file ??= this.#byIdentity.get(identity);
    if (file === undefined) {
      this.#examined++;
      const findings = yield* this.#options.examine({ read: target.read, path, isProgram });
      // What is urgent may have come to the same file meanwhile.
      file = this.#byIdentity.get(identity);
      file ??= this.#add({
        keys: new Set(),
        path,
        isProgram,
        identity,
        findings,
        links: [],
        isRecognized: false,
        isPinned: false,
        pids: new Set(),
        seen: 0,
        isBusy: false,
      });
    }
    file.keys.add(key);
    this.#files.set(key, file);
    if (file.links.length === 0 && !file.isBusy && !this.isHeld) {
      file.isBusy = true;
      yield* this.#attach(file, target.kernelPath);
      file.isBusy = false;
    }
    target.close();
    this.note(key, pid);
    return file;
  }

  /** Takes the probes away, one program at a time. */
  *detach(file: ProbedFile): Generator<void, void> {
    for (let link = file.links.pop(); link !== undefined; link = file.links.pop()) {
      link.close();
      yield;
    }
    this.#settle(file);
  }

  release(file: ProbedFile): void {
    for (const link of file.links.splice(0)) link.close();
    this.#settle(file);
  }

  counters(): ProbedFilesCounters {
    return { probed: this.#probed, sites: this.#sites, examined: this.#examined, refused: Object.fromEntries(this.#refused) };
  }

  #settle(file: ProbedFile): void {
    file.pids.clear();
    this.#recount();
  }

  #recount(): void {
    this.#probed = 0;
    this.#sites = 0;
    for (const file of this) {
      this.#probed++;
      for (const finding of file.findings) if (finding.kind === 'probes') this.#sites += finding.sites.length;
    }
  }

  *#attach(file: ProbedFile, kernelPath: string): Generator<void, void> {
    for (const finding of file.findings) {
      if (finding.kind !== 'probes') continue;
      yield;
      const problem = this.#probed < MAX_PROBED ? yield* this.#attachFinding(file, finding, kernelPath) : 'too many files';
      if (problem === undefined) continue;
      const refused = refusedBy(finding, problem);
      this.#note(refused, 1);
      file.findings = file.findings.map((other) => (other === finding ? refused : other));
    }
    this.#recount();
  }

  /** What went wrong, if anything did; then nothing of it is left. */
  *#attachFinding(file: ProbedFile, { sites, target }: Probes, kernelPath: string): Generator<void, string | undefined> {
    const { attach, addTarget } = this.#options;
    const links: { close(): void }[] = [];
    try {
      const entry = addTarget(target);
      links.push(entry);
      const byProgram = new Map<string, ProbeSite[]>();
      for (const site of sites) {
        const index = BigInt(entry.index);
        const given = { ...site, cookie: site.cookie | (index << TARGET_SHIFT) };
        const known = byProgram.get(site.program);
        if (known === undefined) byProgram.set(site.program, [given]);
        else known.push(given);
      }
      // Whoever enters must be seen to leave, so that comes first.
      for (const [program, ofProgram] of [...byProgram].reverse()) {
        for (let from = 0; from < ofProgram.length; from += MAX_SITES_AT_ONCE) {
          links.push(attach(program, kernelPath, ofProgram.slice(from, from + MAX_SITES_AT_ONCE)));
          yield;
        }
      }
      // All at once: a request must not be seen if its answer is not.
      entry.activate();
    } catch (error) {
      for (const link of links.reverse()) link.close();
      return error instanceof Error ? error.message : String(error);
    }
    file.links.push(...links);
    return undefined;
  }

  #add(file: ProbedFile): ProbedFile {
    this.#byIdentity.set(file.identity, file);
    for (const finding of file.findings) if (finding.kind === 'refused') this.#note(finding, 1);
    if (this.#files.size < MAX_FILES) return file;
    for (const oldest of this.#files.values()) {
      if (oldest.links.length > 0 || oldest.isBusy) continue;
      this.#forget(oldest);
      break;
    }
    return file;
  }

  #forget(file: ProbedFile): void {
    for (const key of file.keys) this.#files.delete(key);
    this.#byIdentity.delete(file.identity);
    for (const finding of file.findings) if (finding.kind === 'refused') this.#note(finding, -1);
  }

  #note({ library, reason }: Refused, by: number): void {
    const name = `${library}: ${reason}`;
    const count = (this.#refused.get(name) ?? 0) + by;
    if (count > 0) this.#refused.set(name, count);
    else this.#refused.delete(name);
  }
}

function refusedBy({ library, version }: Probes, detail: string): Refused {
  return { kind: 'refused', library, version, reason: 'not attached', detail };
}
