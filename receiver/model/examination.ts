// What an examination of a process found, step by step: for the people and scripts that ask `usm-receiver doctor` what can be read of it.

/** A thread of a process, and where its thread-local storage is. */
export interface ThreadEntry {
  readonly pid: number;
  readonly tid: number;
  readonly name: string;
  /** Of the process, nanoseconds since boot. */
  readonly startTime: bigint;
  /** 0: it has none, or it is not known. */
  readonly threadPointer: number;
}

export interface ExaminedProcess {
  readonly pid: number;
  /** Undefined: nobody could list them; `threadsRefusal` says why. */
  readonly threads: readonly ThreadEntry[] | undefined;
  readonly threadsRefusal: string | undefined;
}

export interface Finding {
  readonly step: string;
  /** 'note': of interest, but neither a success nor a failure. */
  readonly outcome: 'found' | 'missing' | 'refused' | 'note';
  readonly detail: string;
  /** What can be done about it: a clause that begins with a verb. */
  readonly remedy?: string | undefined;
}

export interface Examination {
  readonly name: string;
  /** `absent`: there is nothing of the kind in the process, so nothing is wrong; `unknown`: the process cannot be looked at. */
  readonly verdict: 'readable' | 'absent' | 'unreadable' | 'unknown';
  /** The verdict as a sentence. */
  readonly conclusion: string;
  readonly findings: readonly Finding[];
  /** Shown below the findings; each row as long as the head. */
  readonly table: { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] } | undefined;
  /** The same as data, for programs. */
  readonly facts: Readonly<Record<string, Json>>;
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** Looks at one thing in a process. Never throws for what the process does or holds. */
export type Examine = (process: ExaminedProcess) => Examination;

/** One process, and all that was looked at of it. */
export interface ExaminedReport {
  readonly pid: number;
  readonly executable: string;
  readonly examinations: readonly Examination[];
}

export interface DoctorReport {
  readonly version: string;
  /** Whether this machine lets us look at all. */
  readonly host: readonly Finding[];
  readonly processes: readonly ExaminedReport[];
}
