// Boots a kernel in QEMU, with the files of this host as its own, and runs one command there. What it writes to files is gone with it,
// but for the folder of the exchange: its output, its exit code, and what it leaves in /mnt.
// Emulated (TCG), not virtualised: it runs where there is no /dev/kvm, and slowly.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cache, type Kernel, withSbin } from './packages.ts';

/** What the initramfs must load to reach the host's files; what these need is loaded before them. */
const modules = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'];

export interface Ended {
  /** Undefined: the kernel or the first process did not get that far; the console says why. */
  readonly exitCode: number | undefined;
  readonly output: string;
  readonly console: string;
  readonly tookMs: number;
}

export interface Command {
  /** For a shell, as root, in a folder. */
  readonly script: string;
  readonly cwd: string;
  /** Where /mnt of the guest is on the host. */
  readonly exchange: string;
  readonly timeoutMs: number;
}

export async function runInGuest(kernel: Kernel, { script, cwd, exchange, timeoutMs }: Command): Promise<Ended> {
  rmSync(exchange, { recursive: true, force: true });
  mkdirSync(exchange, { recursive: true });
  // Modules that are wanted later are loaded by the kernel's own means.
  const link = `mkdir -p /lib/modules && ln -sfn '${kernel.root}/lib/modules/${kernel.release}' '/lib/modules/${kernel.release}'`;
  writeFileSync(path.join(exchange, 'command'), `${link}\ncd '${cwd}' || exit 1\n${script}\n`);
  const consoleFile = path.join(exchange, 'console');
  const startedAt = performance.now();
  const shared = (id: string, folder: string, isReadOnly: boolean): string[] => [
    '-virtfs',
    `local,path=${folder},mount_tag=${id},security_model=none,multidevs=remap${isReadOnly ? ',readonly=on' : ''}`,
  ];
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '4096'],
      ...['-nodefaults', '-display', 'none', '-no-reboot', '-serial', `file:${consoleFile}`],
      ...['-kernel', kernel.image, '-initrd', buildInitramfs(kernel)],
      ...['-append', 'console=ttyS0 loglevel=4 panic=-1 rdinit=/init'],
      ...shared('files', '/', true),
      ...shared('exchange', exchange, false),
    ],
    { stdio: ['ignore', 'inherit', openSync(path.join(exchange, 'qemu'), 'w')] },
  );
  const timer = setTimeout(() => qemu.kill('SIGKILL'), timeoutMs);
  await once(qemu, 'close');
  clearTimeout(timer);
  const read = (name: string): string => {
    const file = path.join(exchange, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };
  const exitCode = read('exit-code');
  return {
    exitCode: exitCode === '' ? undefined : Number(exitCode),
    output: read('output'),
    console: `${read('console')}${read('qemu')}`,
    tookMs: performance.now() - startedAt,
  };
}

function buildInitramfs(kernel: Kernel): string {
  const folder = path.join(cache, kernel.series, 'initramfs');
  const file = `${folder}.cpio`;
  rmSync(folder, { recursive: true, force: true });
  for (const name of ['bin', 'modules', 'files', 'memory', 'root']) mkdirSync(path.join(folder, name), { recursive: true });
  copyFileSync('/bin/busybox', path.join(folder, 'bin/busybox'));
  copyFileSync(path.join(import.meta.dirname, 'init'), path.join(folder, 'init'));
  chmodSync(path.join(folder, 'init'), 0o755);
  moduleFiles(kernel).forEach((module, index) => {
    const name = `${String(index).padStart(2, '0')}-${path.basename(module).replace(/\.(xz|zst)$/, '')}`;
    const content = module.endsWith('.xz') ? execFileSync('xz', ['-dc', module], { maxBuffer: 2 ** 26 }) : readFileSync(module);
    writeFileSync(path.join(folder, 'modules', name), content);
  });
  execFileSync('sh', ['-c', `find . | cpio --quiet -o -H newc >'${file}'`], { cwd: folder });
  return file;
}

/** In the order of loading; what is built in is left out. */
function moduleFiles({ root, release }: Kernel): string[] {
  const files = modules.flatMap((module) => {
    const args = ['--dirname', root, '--set-version', release, '--show-depends', module];
    const lines = execFileSync('modprobe', args, { encoding: 'utf8', env: withSbin() }).split('\n');
    return lines.flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []);
  });
  return [...new Set(files)];
}
