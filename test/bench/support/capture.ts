// BPF programs under measurement, loaded by the benchmark itself and drained as the receiver drains, without looking at what comes.
import { capabilities, openObject, type ProgramStatistics } from '../../../native/index.ts';
import { Decoder, type EventHandler } from '../../../receiver/kernel/decode.ts';
import type { ContextPlace } from '../../../receiver/model/thread-context.ts';
import { type KernelSession, loadPrograms, type KernelOptions } from '../../../receiver/kernel/session.ts';
import { emptyObject, type PingPong, pingPongPath, rawCaptureObject } from './load.ts';

export type CaptureName = 'none' | 'empty' | 'captured' | 'ignored' | 'raw' | 'context' | 'context by DTV';

export interface Capture {
  programs(): readonly ProgramStatistics[];
  /** Takes what is left and ends. Returns how many records found no room: what is cheap for having failed does not count as cheap. */
  close(): number;
}

interface Source {
  drain(target: Uint8Array): number;
  lost(): number;
  programs(): readonly ProgramStatistics[];
  close(): void;
}

const DRAIN_INTERVAL_MS = 2;
/** More than the receiver's default: this must not be about the ring's size. */
const RING_SIZE = 16 * 1024 * 1024;

/** `none` measures nothing and costs nothing. `places`: where the load's threads have their contexts. */
export async function openCapture(name: CaptureName, places?: PingPong['places']): Promise<Capture> {
  const buffer = new Uint8Array(1024 * 1024);
  const source = await open(name, buffer, name === 'context' || name === 'context by DTV' ? places?.[name] : undefined);
  const drain = (): void => {
    while (source.drain(buffer) > 0);
  };
  const timer = setInterval(drain, DRAIN_INTERVAL_MS);
  return {
    programs: () => source.programs(),
    close() {
      clearInterval(timer);
      drain();
      const lost = source.lost();
      source.close();
      return lost;
    },
  };
}

async function open(name: CaptureName, buffer: Uint8Array<ArrayBuffer>, place: ContextPlace | undefined): Promise<Source> {
  switch (name) {
    case 'none':
      return { drain: () => 0, lost: () => 0, programs: () => [], close: () => undefined };
    case 'empty': {
      const object = openObject({ object: emptyObject });
      object.attach();
      return { drain: () => 0, lost: () => 0, programs: () => object.programs(), close: () => object.close() };
    }
    case 'raw': {
      const object = openObject({ object: rawCaptureObject, constants: { own_tgid: u32(process.pid) } });
      object.attach();
      const ring = object.ring('ring');
      return {
        drain: (target) => ring.drain(target),
        lost: () => Number(new BigUint64Array(object.map('.bss').lookup(new Uint8Array(4))!.buffer)[0]),
        programs: () => object.programs(),
        close: () => object.close(),
      };
    }
    case 'context':
    case 'context by DTV':
    case 'captured':
    case 'ignored': {
      const programs = await loadPrograms({
        filter: name === 'ignored' ? ignoring(pingPongPath) : everything,
        ringBufferSizeBytes: RING_SIZE,
      });
      const session = programs.attach();
      let isPlaced = place === undefined;
      const onPlaced = (): void => {
        isPlaced = true;
      };
      const decoder = place && new Decoder(buffer, 0n, capabilities().possibleCpus, placing(session, place, onPlaced));
      return {
        drain: (target) => {
          const size = session.drain(target);
          if (!isPlaced) decoder?.decode(size);
          return size;
        },
        lost: () => session.counters().ringFull,
        programs: () => session.programs(),
        close: () => session.close(),
      };
    }
  }
}

/** Tells the place as soon as the load has spoken. */
function placing(session: KernelSession, place: ContextPlace, onPlaced: () => void): EventHandler {
  const nothing = (): void => undefined;
  return {
    processStarted: (image, instance) => {
      if (image.executablePath !== pingPongPath) return;
      session.contextPlaces.set(instance, place);
      onPlaced();
    },
    io: nothing,
    open: nothing,
    end: nothing,
    walked: nothing,
    secured: nothing,
    resumed: nothing,
    processExited: nothing,
    executed: nothing,
    vitals: nothing,
    dropped: nothing,
    malformed: nothing,
  };
}

const everything: KernelOptions['filter'] = { include: [], exclude: [], loopback: true };

function ignoring(executable: string): KernelOptions['filter'] {
  const rule = { localPorts: [], remotePorts: [], cidrs: [], pids: [], executables: [executable], cgroups: [] };
  return { ...everything, exclude: [rule] };
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
