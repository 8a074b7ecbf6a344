// The `file_storage` extension as exporters see it: a store of payloads for each exporter and signal, kept by a thread of its own.
// https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/extension/storage/filestorage
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { messageOf } from '../../errors.ts';
import type { ExportLogger, Signal } from '../exporter.ts';
import type { PayloadEncoding, ReadResult, StoredPayload } from './payload-database.ts';
import type { PutResult, Rebound, ThreadAnswer, ThreadRequest } from './thread-messages.ts';

export interface FileStorageOptions {
  readonly id: string;
  readonly directory: string;
  readonly createDirectory: boolean;
  readonly directoryPermissions: number;
  readonly timeoutMs: number;
  readonly fsync: boolean;
  readonly recreate: boolean;
  readonly compaction: {
    readonly onStart: boolean;
    readonly onRebound: boolean;
    readonly directory: string;
    readonly reboundNeededBytes: number;
    readonly reboundTriggerBytes: number;
    readonly checkIntervalMs: number;
    readonly cleanupOnStart: boolean;
  };
}

/** Payloads of one exporter and signal on disk. */
export interface PayloadStore {
  /** What an earlier run left, oldest first. */
  readonly recovered: readonly StoredPayload[];
  /**
   * Takes the body away and gives it back when it is on disk, or when it could not be written. Ids grow from call to call, and beyond
   * those recovered.
   */
  put(id: number, items: number, body: Uint8Array): Promise<PutResult>;
  read(id: number): Promise<ReadResult>;
  delete(id: number): void;
  /** After everything that was asked before. May be called twice. */
  close(): Promise<void>;
}

/** For a heap that holds no payload: they are outside of it. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 };
const THREAD_FLAGS = ['--disable-warning=ExperimentalWarning'];

type Waiting = (answer: ThreadAnswer | undefined) => void;

/** Owns the storage thread and the requests that it has not answered. */
export class StorageThread {
  readonly #logger: ExportLogger;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #requests = 0;
  #databases = 0;
  #end: string | undefined;

  constructor(logger: ExportLogger) {
    this.#logger = logger;
    // tsc rewrites the paths of imports, and of nothing else.
    const entry = import.meta.url.endsWith('.ts') ? './storage-thread.ts' : './storage-thread.js';
    this.#worker = new Worker(new URL(entry, import.meta.url), {
      name: 'storage',
      execArgv: THREAD_FLAGS,
      resourceLimits: THREAD_LIMITS,
    });
    this.#worker.on('message', (answer: ThreadAnswer) => {
      this.#take(answer);
    });
    this.#worker.on('error', (error) => {
      this.#ended(messageOf(error));
    });
    this.#worker.on('exit', () => {
      this.#ended('the storage thread ended');
    });
  }

  /** @throws {Error} when the directory or the file cannot be used. */
  async open(storage: FileStorageOptions, exporterId: string, signal: Signal, encoding: PayloadEncoding): Promise<PayloadStore> {
    const { directory, compaction } = storage;
    for (const each of new Set([directory, compaction.directory])) requireDirectory(each, storage);
    const database = ++this.#databases;
    const answer = await this.#ask((request) => ({
      kind: 'open',
      database,
      request,
      options: { ...storage, path: join(directory, databaseName(exporterId, signal)), encoding },
      rebound: reboundOf(storage),
    }));
    if (answer?.kind === 'opened') return new ThreadStore(this, database, answer.stored);
    const reason = answer?.kind === 'failed' ? answer.message : (this.#end ?? '');
    throw new Error(`extensions::${storage.id}: cannot open ${reason}`);
  }

  /** The answer to a request, or undefined when the thread has ended without one. */
  ask(make: (request: number) => ThreadRequest, body?: Uint8Array<ArrayBuffer>): Promise<ThreadAnswer | undefined> {
    return this.#ask(make, body);
  }

  tell(message: ThreadRequest): void {
    if (this.#end === undefined) this.#worker.postMessage(message);
  }

  /** Why there are no more answers. */
  get end(): string | undefined {
    return this.#end;
  }

  /** Stores are closed before. May be called twice. */
  async close(): Promise<void> {
    this.#end ??= 'the storage is closed';
    await this.#worker.terminate();
  }

  #ask(make: (request: number) => ThreadRequest, body?: Uint8Array<ArrayBuffer>): Promise<ThreadAnswer | undefined> {
    if (this.#end !== undefined) return Promise.resolve(undefined);
    const request = ++this.#requests;
    return new Promise((resolve) => {
      this.#waiting.set(request, resolve);
      this.#worker.postMessage(make(request), body === undefined ? [] : [body.buffer]);
    });
  }

  #take(answer: ThreadAnswer): void {
    if (answer.kind === 'notice') {
      this.#logger.warn(`Storage: ${answer.message}`);
      return;
    }
    const waiting = this.#waiting.get(answer.request);
    this.#waiting.delete(answer.request);
    waiting?.(answer);
  }

  #ended(reason: string): void {
    if (this.#end === undefined)
      this.#logger.error('Storage: the thread ended; queues are in memory from now on', { error: reason });
    this.#end ??= reason;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const each of waiting) each(undefined);
  }
}

class ThreadStore implements PayloadStore {
  readonly recovered: readonly StoredPayload[];
  readonly #thread: StorageThread;
  readonly #database: number;
  #closing: Promise<void> | undefined;

  constructor(thread: StorageThread, database: number, recovered: readonly StoredPayload[]) {
    this.#thread = thread;
    this.#database = database;
    this.recovered = recovered;
  }

  async put(id: number, items: number, body: Uint8Array): Promise<PutResult> {
    const { end } = this.#thread;
    if (end !== undefined) return { kind: 'failed', body, message: end };
    const own = ownBytes(body);
    const database = this.#database;
    const answer = await this.#thread.ask((request) => ({ kind: 'put', database, request, id, items, body: own }), own);
    if (answer?.kind === 'put') return answer.result;
    return { kind: 'failed', body: undefined, message: this.#thread.end ?? '' };
  }

  async read(id: number): Promise<ReadResult> {
    const answer = await this.#thread.ask((request) => ({ kind: 'read', database: this.#database, request, id }));
    return answer?.kind === 'read' ? answer.result : { kind: 'unreadable', message: this.#thread.end ?? '' };
  }

  delete(id: number): void {
    this.#thread.tell({ kind: 'delete', database: this.#database, id });
  }

  close(): Promise<void> {
    this.#closing ??= this.#thread.ask((request) => ({ kind: 'close', database: this.#database, request })).then(() => undefined);
    return this.#closing;
  }
}

function requireDirectory(directory: string, { id, createDirectory, directoryPermissions }: FileStorageOptions): void {
  if (existsSync(directory)) return;
  if (!createDirectory)
    throw new Error(`extensions::${id}: ${directory} does not exist; create it or set create_directory: true`);
  try {
    mkdirSync(directory, { recursive: true, mode: directoryPermissions });
  } catch (cause) {
    throw new Error(`extensions::${id}: cannot create ${directory}: ${messageOf(cause)}`, { cause });
  }
}

function reboundOf({ compaction }: FileStorageOptions): Rebound | undefined {
  if (!compaction.onRebound) return undefined;
  return {
    neededBytes: compaction.reboundNeededBytes,
    triggerBytes: compaction.reboundTriggerBytes,
    checkIntervalMs: compaction.checkIntervalMs,
  };
}

/**
 * What shares its buffer with others cannot be handed over. What fills more than half of one from its beginning has it alone: Node.js puts
 * only smaller Buffers together.
 */
function ownBytes(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = body;
  const isAlone = buffer instanceof ArrayBuffer && byteOffset === 0 && byteLength * 2 > buffer.byteLength;
  return isAlone ? new Uint8Array(buffer, 0, byteLength) : new Uint8Array(body);
}

/** As the Collector names its files, so that one directory can serve both: `exporter_otlp_backend_traces`, with an ending of our own. */
function databaseName(exporterId: string, signal: Signal): string {
  const slash = exporterId.indexOf('/');
  const type = slash === -1 ? exporterId : exporterId.slice(0, slash);
  const name = slash === -1 ? '' : exporterId.slice(slash + 1);
  const written = `exporter_${type}_${name}_${signal}`;
  return `${written.replace(/[^A-Za-z0-9._-]/gu, escapeCharacter)}.sqlite`;
}

function escapeCharacter(character: string): string {
  return `~${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
