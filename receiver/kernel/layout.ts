// Generated from the BTF of the BPF object.

export const eventHeader = {
  sizeOf: 16,
  time: 0,
  sequence: 8,
  cpu: 12,
  kind: 14,
  flags: 15,
} as const;

export const ioEvent = {
  sizeOf: 64,
  header: 0,
  cookie: 16,
  position: 24,
  otherPosition: 32,
  startTime: 40,
  tgid: 48,
  tid: 52,
  size: 56,
  captured: 60,
} as const;

export const connectionEvent = {
  sizeOf: 336,
  header: 0,
  cookie: 16,
  sentPosition: 24,
  receivedPosition: 32,
  peerCookie: 40,
  startTime: 48,
  tgid: 56,
  tid: 60,
  netns: 64,
  localIsn: 68,
  peerIsn: 72,
  family: 76,
  localPort: 78,
  peerPort: 80,
  role: 82,
  evidence: 83,
  fromStart: 84,
  last: 85,
  localPathSize: 86,
  peerPathSize: 87,
  localAddress: 88,
  peerAddress: 104,
  localPath: 120,
  peerPath: 228,
} as const;

export const endEvent = {
  sizeOf: 64,
  header: 0,
  cookie: 16,
  sentPosition: 24,
  receivedPosition: 32,
  startTime: 40,
  tgid: 48,
  tid: 52,
  error: 56,
  cause: 60,
  exiting: 61,
  pad: 62,
} as const;

export const walkEvent = {
  sizeOf: 56,
  header: 0,
  cookie: 16,
  position: 24,
  end: 32,
  next: 40,
  body: 48,
} as const;

export const processEvent = {
  sizeOf: 72,
  header: 0,
  startTime: 16,
  cgroupId: 24,
  tgid: 32,
  execId: 36,
  executableSize: 40,
  cgroupSize: 44,
  argsSize: 48,
  environmentSize: 52,
  comm: 56,
} as const;

export const processExitEvent = {
  sizeOf: 32,
  header: 0,
  startTime: 16,
  tgid: 24,
  exitCode: 28,
} as const;

export const control = {
  sizeOf: 64,
  cookie: 0,
  ignore: 8,
  until: 16,
  parsed: 32,
  walk: 48,
} as const;

export const eventKind = {
  io: 1,
  connection: 2,
  end: 3,
  walk: 4,
  process: 5,
  processExit: 6,
} as const;

export const ioFlag = {
  sent: 1,
  start: 2,
  unordered: 4,
  resumed: 8,
} as const;

export const counter = {
  events: 0,
  ringFull: 1,
  ignoredIo: 2,
  filtered: 3,
  self: 4,
  kernelSocket: 5,
  ulp: 6,
  storageFull: 7,
  shed: 8,
  unordered: 9,
  unseenBytes: 10,
  messageUnknown: 11,
  environmentCut: 12,
  seeded: 13,
  lostBytes: 14,
  count: 16,
} as const;
