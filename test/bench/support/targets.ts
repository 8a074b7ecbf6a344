// What the receiver has to reach, one entry per line of docs/performance.md's table.

export interface Target {
  readonly text: string;
  readonly unit: string;
  /** Reached when the median is no more than `most`, or no less than `least`. Neither: reported as it is. */
  readonly most?: number;
  readonly least?: number;
}

export const targets = {
  captured: { text: 'Kernel time per captured I/O of 200 bytes, as `bpf_stats` has it', unit: 'µs', most: 0.4 },
  capturedNet: { text: 'The same less an empty program (what `bpf_stats` itself takes)', unit: 'µs', most: 0.4 },
  ignored: { text: 'Kernel time per ignored I/O, as `bpf_stats` has it', unit: 'µs', most: 0.1 },
  ignoredNet: { text: 'The same less an empty program', unit: 'µs', most: 0.1 },
  context: { text: 'Added by the context of a thread, at a constant offset', unit: 'ns', most: 60 },
  contextByDtv: { text: 'The same by way of the DTV', unit: 'ns', most: 150 },
  locating: { text: 'Locating where the threads of a process have their contexts, its files being known', unit: 'ms', most: 5 },
  // Not 0.0000: this process and the rest of the host use sockets meanwhile.
  otherCalls: { text: 'Runs of our programs per other system call', unit: '', most: 0.001 },
  growth: { text: 'Kernel time per captured I/O with 10,000 connections ÷ with 10', unit: '×', most: 1.1 },
  nginxCpu: { text: 'CPU of nginx per request of 200 bytes, with ÷ without', unit: '×', most: 1.1 },
  nodeCpu: { text: 'CPU of a Node.js server per request, with ÷ without', unit: '×', most: 1.02 },
  goCpu: { text: 'CPU of a Go server per request, with ÷ without', unit: '×', most: 1.02 },
  pythonCpu: { text: 'CPU of a Python server per request, with ÷ without', unit: '×', most: 1.02 },
  nginxHttpsCpu: { text: 'CPU of nginx per HTTPS request of 200 bytes, with ÷ without', unit: '×', most: 1.15 },
  nodeHttpsCpu: { text: 'CPU of a Node.js server per HTTPS request, with ÷ without', unit: '×', most: 1.05 },
  goHttpsCpu: { text: 'CPU of a Go server per HTTPS request, with ÷ without', unit: '×', most: 1.05 },
  pythonHttpsCpu: { text: 'CPU of a Python server per HTTPS request, with ÷ without', unit: '×', most: 1.05 },
  grpcGoCpu: { text: 'CPU of a Go gRPC server per unary call of 100 bytes, with ÷ without', unit: '×', most: 1.1 },
  http2Unseen: { text: 'HTTP/2, 50 connections × 100 streams: transactions not seen or not exported', unit: '', most: 0 },
  throughput: { text: 'Closed-loop requests/s of nginx, with ÷ without', unit: '×' },
  captureThroughput: { text: 'The same with our BPF programs alone, nothing parsed or sent', unit: '×' },
  rawThroughput: { text: 'The same with a bare capture by raw sys_enter and sys_exit', unit: '×' },
  recordToOtlp: { text: 'Our CPU per transaction, from ring to encoded OTLP', unit: 'µs', most: 5 },
  pipelineRate: { text: 'Transactions/s on one core without loss, replayed', unit: '/s', least: 150_000 },
  lost: { text: 'Lost at 20,000 requests/s for 60 s (bytes, events, connections shed)', unit: '', most: 0 },
  unseen: { text: 'Transactions seen there less 2 × answered requests', unit: '', most: 0 },
  ownCpu: { text: 'Our CPU per transaction there, export included', unit: 'µs' },
  memory: { text: 'Resident memory there, peak', unit: 'MB', most: 120 },
  memoryDrift: { text: 'Resident memory in the last quarter less the second', unit: 'MB', most: 5 },
  idle: { text: 'Resident memory for 10,000 idle connections, both ends observed', unit: 'MB', most: 30 },
  collectorRate: {
    text: 'Spans/s through a Collector with the receiver usm, on one core, batched and exported',
    unit: '/s',
    least: 50_000,
  },
  startUp: { text: 'From start to the ready message', unit: 's', most: 1 },
} satisfies Record<string, Target>;

export type TargetId = keyof typeof targets;

export function isReached(target: Target, value: number): boolean | undefined {
  if (target.most !== undefined) return value <= target.most;
  if (target.least !== undefined) return value >= target.least;
  return undefined;
}
