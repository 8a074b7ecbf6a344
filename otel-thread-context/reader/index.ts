// What the receiver, and anyone else, uses of this folder: where a process's threads have their contexts, and what those say.
export { type AttributeValue, decodePayload, type Payload } from './attributes.ts';
export { cString, type ReadAt, u64, viewOf } from './bytes.ts';
export { readFully, readStream, tryOpen } from './files.ts';
export { type ElfFile, fileOffsetOf, type Machine, readElf, type Segment } from './elf.ts';
export { dynamicTable, sonameOf, staticTable, symbolOfSlot, type SymbolTable } from './elf-tables.ts';
export { dtvLayout, type DtvLayout } from './libc.ts';
export type { GoRuntime } from './go-runtime.ts';
export { locate, type LocateOptions, type LocateOutcome, type Location, type Step } from './locate.ts';
export { type Mapping, parseMappings } from './mappings.ts';
export { openProcess, type MappedFile, type ObservedProcess, ProcessHandle } from './process.ts';
export {
  findProcessContext,
  publishedAt,
  readProcessContext,
  type ProcessContext,
  type ProcessContextRefusal,
  type ProcessContextResult,
} from './process-context.ts';
export {
  decodeRecord,
  MAX_ATTRIBUTES_SIZE,
  RECORD_HEADER_SIZE,
  type DecodedRecord,
  type NoContextReason,
  type RefusedReason,
  type ThreadContext,
} from './record.ts';
export { threadSchema, threadSymbols, type SchemaForm, type SchemaResult, type ThreadSchema } from './schema.ts';
export { readThreadContext, variableAddress, type VariableAddress } from './thread.ts';
export type { AccessModel, ThreadSlot } from './thread-slots.ts';
export { ImageCache } from './tls-image.ts';
export type { TlsLocation, Unresolved, UnresolvedReason } from './tls-location.ts';
