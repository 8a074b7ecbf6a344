// Workers that share one port (see ../README.md): cluster-server.mjs WORKERS PORT HOST. Each says when it listens.
import cluster from 'node:cluster';
import path from 'node:path';

const [workers, ...where] = process.argv.slice(2);
cluster.setupPrimary({
  exec: path.join(import.meta.dirname, 'echo-server.mjs'),
  args: where,
  stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
});
for (let i = 0; i < Number(workers); i++) cluster.fork();
process.stdin.resume().on('end', () => process.exit(0));
