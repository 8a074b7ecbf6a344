// What single steps of BPF programs cost on this machine, with everything in the caches: which of them are worth sparing.
//   --rounds N  of all steps
import { openObject } from '../../native/index.ts';
import { readArguments } from './support/arguments.ts';
import { buildLoad, helpersObject } from './support/load.ts';
import { Report } from './support/report.ts';

const { numbers, json } = readArguments({ rounds: 200 });
/** As in load/helpers.bpf.c. */
const TURNS = 512;
const STEPS = {
  nothing: 'the loop itself',
  call_function: "a call of a function of one's own",
  current_task: 'bpf_get_current_task()',
  processor: 'bpf_get_smp_processor_id()',
  clock: 'bpf_ktime_get_ns()',
  percpu_number: 'a number of this CPU, in an array, raised',
  hash_lookup: 'a look-up in a hash map',
  read_kernel_8: 'bpf_probe_read_kernel(), 8 bytes',
  read_user_8_to_stack: 'bpf_probe_read_user(), 8 bytes to the stack',
  read_user_28_to_stack: 'the same, 28 bytes',
  read_user_8_to_map: 'bpf_probe_read_user(), 8 bytes to a map',
  read_user_200_to_map: 'the same, 200 bytes',
  reserve_and_submit: 'bpf_ringbuf_reserve() and bpf_ringbuf_submit(), 272 bytes',
  output_72: 'bpf_ringbuf_output(), 72 bytes',
} as const;

buildLoad();
const report = new Report('helper-cost');
const object = openObject({ object: helpersObject });
try {
  object.map('known').update(new Uint8Array(4), new Uint8Array(8));
  const ring = object.ring('ring');
  const drained = new Uint8Array(1024 * 1024);
  const samples = new Map<string, number[]>(Object.keys(STEPS).map((step) => [step, []]));
  for (let round = 0; round < numbers.rounds; round++) {
    for (const [step, values] of samples) {
      const bytes = object.iterate(step);
      values.push(Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)) / TURNS);
      while (ring.drain(drained) > 0);
    }
  }
  // The fastest: what is slower was disturbed.
  for (const [step, text] of Object.entries(STEPS)) report.figure(text, 'ns', [Math.min(...samples.get(step)!)]);
} finally {
  object.close();
}
report.write(json);
