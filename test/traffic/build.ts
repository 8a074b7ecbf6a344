// Builds the C, C++, Go and Java programs once, into .cache/traffic under a hash of their sources and of where that is.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';

const here = import.meta.dirname;
const cache = path.resolve(here, '../../.cache/traffic');

function built(name: string, sources: readonly string[], build: (output: string) => void): string {
  // Some have this path inside, by which they find their libraries.
  const hash = createHash('sha256').update(cache);
  for (const source of sources) hash.update(readFileSync(path.join(here, source)));
  // The file name becomes the service name: so the hash goes into the folder.
  const folder = path.join(cache, hash.digest('hex').slice(0, 16));
  const binary = path.join(folder, name);
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    const unfinished = `${binary}.${process.pid}`;
    build(unfinished);
    renameSync(unfinished, binary);
  }
  return binary;
}

export function buildGoPeer(): string {
  return built('go-peer', ['go/go.mod', 'go/main.go'], (output) => {
    execFileSync('go', ['build', '-trimpath', '-o', output, '.'], {
      cwd: path.join(here, 'go'),
      env: { ...process.env, CGO_ENABLED: '0' },
    });
  });
}

/** The gRPC server and client in Go. */
export function buildGrpcPeer(): string {
  return built('grpc-peer', ['go-grpc/go.mod', 'go-grpc/go.sum', 'go-grpc/main.go'], (output) => {
    execFileSync('go', ['build', '-mod=readonly', '-trimpath', '-o', output, '.'], {
      cwd: path.join(here, 'go-grpc'),
      env: { ...process.env, CGO_ENABLED: '0' },
      stdio: 'pipe',
    });
  });
}

/** The server and client of Connect and gRPC-Web. */
export function buildConnectPeer(): string {
  return built('connect-peer', ['go-connect/go.mod', 'go-connect/go.sum', 'go-connect/main.go'], (output) => {
    execFileSync('go', ['build', '-mod=readonly', '-trimpath', '-o', output, '.'], {
      cwd: path.join(here, 'go-connect'),
      env: { ...process.env, CGO_ENABLED: '0' },
      stdio: 'pipe',
    });
  });
}

/** The gRPC server and client on gRPC's C++ library. */
export function buildCppGrpcPeer(): string {
  return built('grpc-peer-cpp', ['cpp-grpc/grpc-peer.cc'], (output) => {
    const flags = ['-std=c++17', '-O1', '-Wall', '-Wextra', '-Werror', '-pthread'];
    const libraries = ['-lgrpc++', '-lgrpc', '-lgpr', '-labsl_synchronization'];
    execFileSync('c++', [...flags, '-o', output, 'cpp-grpc/grpc-peer.cc', ...libraries], { cwd: here });
  });
}

/** A folder with the class GrpcPeer, the gRPC server and client on grpc-java, and the archives that it needs. */
export function buildJavaGrpcPeer(): string {
  return built('java-grpc', ['java-grpc/pom.xml', 'java-grpc/GrpcPeer.java'], (output) => {
    const folder = path.join(here, 'java-grpc');
    const fetch = ['-q', '-B', '-f', 'pom.xml', 'dependency:copy-dependencies', `-DoutputDirectory=${output}`];
    execFileSync('mvn', fetch, { cwd: folder, stdio: 'pipe' });
    const lint = ['-Xlint:all', '-Werror'];
    execFileSync('javac', [...lint, '-cp', path.join(output, '*'), '-d', output, 'GrpcPeer.java'], {
      cwd: folder,
      stdio: 'pipe',
    });
  });
}

/** A folder for PYTHONPATH, with what `python/NAME-requirements.txt` lists. */
export function fetchPython(name: 'grpc' | 'old-openssl'): string {
  const list = `python/${name}-requirements.txt`;
  return built(`python-${name}`, [list], (output) => {
    const options = [
      '--quiet',
      '--disable-pip-version-check',
      '--no-deps',
      '--only-binary',
      ':all:',
      '--root-user-action=ignore',
      // Any Python may have fetched it: it need not be the one that runs it.
      ...(name === 'old-openssl' ? ['--python-version', '3.11', '--platform', 'manylinux2014_x86_64'] : []),
    ];
    const requirements = path.join(here, list);
    execFileSync('python3', ['-m', 'pip', 'install', ...options, '--target', output, '-r', requirements], { stdio: 'pipe' });
  });
}

/** A server whose goroutines have labels. `flags` of the linker. */
export function buildGoLabels(flags = ''): string {
  return built(`go-labels${flags === '' ? '' : '-stripped'}`, ['go-labels/go.mod', 'go-labels/main.go'], (output) => {
    execFileSync('go', ['build', '-trimpath', `-ldflags=${flags}`, '-o', output, '.'], {
      cwd: path.join(here, 'go-labels'),
      env: { ...process.env, CGO_ENABLED: '0' },
    });
  });
}

/** Both ends of TLS connections. */
export function buildGoPairs(): string {
  return built('go-pairs', ['go-pairs/go.mod', 'go-pairs/main.go'], (output) => {
    execFileSync('go', ['build', '-trimpath', '-o', output, '.'], {
      cwd: path.join(here, 'go-pairs'),
      env: { ...process.env, CGO_ENABLED: '0' },
    });
  });
}

function buildC(name: string, source: string): string {
  return built(name, [source], (output) => {
    const flags = ['-O2', '-g', '-Wall', '-Wextra', '-Werror', '-pthread'];
    execFileSync('cc', [...flags, '-o', output, source], { cwd: here });
  });
}

export function buildIo(): string {
  return buildC('io', 'c/io.c');
}

export function buildAtOnce(): string {
  return buildC('at-once', 'c/at-once.c');
}

export function buildWithPid(): string {
  return buildC('with-pid', 'c/with-pid.c');
}

/**
 * Linked with the C library of otel-thread-context. 'program': the variable is the program's own, at a constant distance from the thread
 * pointer; 'library': a shared library's, found through the DTV of each thread.
 */
export function buildContextPeer(linkage: 'program' | 'library'): string {
  const library = '../../otel-thread-context';
  const writer = readdirSync(path.join(here, library, 'src')).map((name) => `${library}/src/${name}`);
  const sources = writer.filter((name) => name.endsWith('.c'));
  const headers = [`${library}/include/otel_thread_context.h`, ...writer.filter((name) => !name.endsWith('.c'))];
  const flags = ['-std=gnu11', '-O2', '-g', '-Wall', '-Wextra', '-Werror', '-pthread', `-I${library}/include`];
  const run = (...args: string[]): void => void execFileSync('cc', [...flags, ...args], { cwd: here });
  return built(`context-peer-${linkage}`, ['c/context-peer.c', ...sources, ...headers], (output) => {
    if (linkage === 'program') {
      run('-o', output, 'c/context-peer.c', ...sources);
      return;
    }
    const dialect = process.arch === 'arm64' ? 'trad' : 'gnu';
    const shared = path.join(path.dirname(output), 'libcontext.so');
    run('-shared', '-fPIC', `-mtls-dialect=${dialect}`, '-Wl,-soname,libcontext.so', '-o', shared, ...sources);
    run('-o', output, 'c/context-peer.c', shared, '-Wl,-rpath,$ORIGIN');
  });
}

/**
 * Stripped, and of a process that publishes no process context: nobody finds the variable of otel-thread-context in it. 'program': static;
 * 'library': the variable is a shared library's, in a module's block.
 */
export function buildRegistrant(libc: 'glibc' | 'musl', linkage: 'program' | 'library'): string {
  const library = '../../otel-thread-context';
  const writer = readdirSync(path.join(here, library, 'src')).map((name) => `${library}/src/${name}`);
  const sources = writer.filter((name) => name.endsWith('.c'));
  const headers = [`${library}/include/otel_thread_context.h`, ...writer.filter((name) => !name.endsWith('.c'))];
  const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread', '-s', `-I${library}/include`];
  const run = (...args: string[]): void => {
    execFileSync(libc === 'musl' ? 'musl-gcc' : 'cc', [...flags, ...args], { cwd: here });
  };
  return built(`registrant-${libc}-${linkage}`, ['c/registrant.c', ...sources, ...headers], (output) => {
    if (linkage === 'program') {
      run('-static', '-o', output, 'c/registrant.c', ...sources);
      return;
    }
    const shared = path.join(path.dirname(output), `libregistrant-${libc}.so`);
    run('-shared', '-fPIC', `-Wl,-soname,${path.basename(shared)}`, '-o', shared, ...sources);
    run('-o', output, 'c/registrant.c', shared, `-Wl,-rpath,${path.dirname(output)}`);
  });
}

/** The C library of otel-thread-context, shared. */
export function buildContextLibrary(): string {
  return path.join(path.dirname(buildRegistrant('glibc', 'library')), 'libregistrant-glibc.so');
}

/** The same in Go, with that library. */
export function buildGoRegistrant(): string {
  const library = buildContextLibrary();
  return built('go-registrant', ['go-registrant/go.mod', 'go-registrant/main.go', path.relative(here, library)], (output) => {
    execFileSync('go', ['build', '-trimpath', '-tags=netgo', '-ldflags=-s -w', '-o', output, '.'], {
      cwd: path.join(here, 'go-registrant'),
      env: {
        ...process.env,
        CGO_ENABLED: '1',
        CGO_CFLAGS: `-O2 -I${path.resolve(here, '../../otel-thread-context/include')}`,
        CGO_LDFLAGS: `${library} -Wl,-rpath,${path.dirname(library)}`,
      },
    });
  });
}
