// Puts payloads into a database and deletes every second one, saying each when it is done, until it is killed.
import { writeSync } from 'node:fs';
import path from 'node:path';
import * as sqlite from 'node:sqlite';
import { PayloadDatabase } from '../../../receiver/export/storage/payload-database.ts';

const file = process.argv[2] ?? '';
const database = new PayloadDatabase(
  sqlite,
  {
    path: file,
    encoding: 'proto',
    timeoutMs: 0,
    fsync: false,
    recreate: false,
    compaction: { onStart: false, directory: path.dirname(file), cleanupOnStart: false },
  },
  () => undefined,
);
for (let id = 1; ; id++) {
  database.put(
    id,
    id * 10,
    new Uint8Array(50_000).map((_, at) => (at * 31 + id) & 0xff),
  );
  writeSync(1, `put ${id}\n`);
  if (id % 2 === 1) continue;
  database.delete(id / 2);
  writeSync(1, `delete ${id / 2}\n`);
}
