// Command line of an interpreter → the program that it runs. One row per interpreter says how its options are read.

export interface Interpreter {
  /** Value of telemetry.sdk.language, where the conventions have one. */
  readonly language: string | undefined;
  /** Long options, and short ones that cannot be combined, whose value is the next argument (`--name value`; `--name=value` needs no row). */
  readonly valueOptions: ReadonlySet<string>;
  /** Letters of combinable short options that take the rest of their argument or the next one as value. */
  readonly valueLetters: string;
  /** Letters that take the rest of their argument as value, never the next one. */
  readonly attachedLetters: string;
  /** Options after which the program is text, not a file. */
  readonly codeOptions: ReadonlySet<string>;
  /** Letters of the same. */
  readonly codeLetters: string;
  /** The option (or letter) whose value names a module, jar or file, and so the program. */
  readonly programOptions: ReadonlySet<string>;
  readonly programLetters: string;
  /** First words that are no program: `run`, `exec`. */
  readonly subcommands: ReadonlySet<string>;
  /** First words after which no program of ours is named. */
  readonly tools: ReadonlySet<string>;
  /** Removed from the end of a program's base name. */
  readonly extensions: readonly string[];
}

const none: ReadonlySet<string> = new Set();

const bare: Interpreter = {
  language: undefined,
  valueOptions: none,
  valueLetters: '',
  attachedLetters: '',
  codeOptions: none,
  codeLetters: '',
  programOptions: none,
  programLetters: '',
  subcommands: none,
  tools: none,
  extensions: [],
};

const python: Interpreter = {
  ...bare,
  language: 'python',
  valueOptions: new Set(['--check-hash-based-pycs']),
  valueLetters: 'WXQ',
  codeLetters: 'c',
  programLetters: 'm',
  extensions: ['.py', '.pyc', '.pyz', '.pyw'],
};

const scriptExtensions = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.jsx', '.tsx'];

const node: Interpreter = {
  ...bare,
  language: 'nodejs',
  valueOptions: new Set([
    '-r',
    '--require',
    '--import',
    '--loader',
    '--experimental-loader',
    '-C',
    '--conditions',
    '--env-file',
    '--env-file-if-exists',
    '--input-type',
    '--icu-data-dir',
    '--inspect-port',
    '--max-http-header-size',
    '--openssl-config',
    '--redirect-warnings',
    '--title',
    '--trace-event-categories',
    '--unhandled-rejections',
    '--watch-path',
    '--diagnostic-dir',
    '--dns-result-order',
    '--localstorage-file',
    '--experimental-config-file',
  ]),
  codeOptions: new Set(['-e', '--eval', '-p', '--print', '-pe', '--run', '--test']),
  tools: new Set(['inspect']),
  extensions: scriptExtensions,
};

const deno: Interpreter = {
  ...bare,
  valueOptions: new Set([
    '-c',
    '--config',
    '--import-map',
    '-L',
    '--log-level',
    '--cert',
    '--location',
    '--seed',
    '--port',
    '--host',
  ]),
  subcommands: new Set(['run', 'serve']),
  tools: new Set(['eval', 'repl', 'task', 'test', 'bench', 'compile', 'install', 'lsp', 'jupyter']),
  extensions: scriptExtensions,
};

const bun: Interpreter = {
  ...bare,
  valueOptions: new Set([
    '-c',
    '--config',
    '--cwd',
    '--env-file',
    '-r',
    '--preload',
    '--require',
    '--import',
    '--port',
    '-d',
    '--define',
  ]),
  codeOptions: new Set(['-e', '--eval', '-p', '--print']),
  subcommands: new Set(['run']),
  tools: new Set(['test', 'install', 'build', 'repl', 'x']),
  extensions: scriptExtensions,
};

const ruby: Interpreter = {
  ...bare,
  language: 'ruby',
  valueOptions: new Set(['--encoding', '--external-encoding', '--internal-encoding']),
  valueLetters: 'rICEF',
  attachedLetters: 'WKTxil0',
  codeLetters: 'e',
  programLetters: 'S',
  extensions: ['.rb', '.ru'],
};

const java: Interpreter = {
  ...bare,
  language: 'java',
  valueOptions: new Set([
    '-cp',
    '-classpath',
    '--class-path',
    '-p',
    '--module-path',
    '--upgrade-module-path',
    '--add-modules',
    '--add-opens',
    '--add-exports',
    '--add-reads',
    '--limit-modules',
    '--patch-module',
    '--enable-native-access',
    '--source',
  ]),
  programOptions: new Set(['-jar', '-m', '--module']),
  extensions: ['.jar', '.war', '.java'],
};

const php: Interpreter = {
  ...bare,
  language: 'php',
  valueLetters: 'cdzStBRFE',
  codeLetters: 'r',
  programLetters: 'f',
  extensions: ['.php', '.phar'],
};

const perl: Interpreter = {
  ...bare,
  valueLetters: 'I',
  attachedLetters: 'MmiDCFVxl0',
  codeLetters: 'eE',
  extensions: ['.pl', '.psgi'],
};

const dotnet: Interpreter = {
  ...bare,
  language: 'dotnet',
  valueOptions: new Set([
    '--additionalprobingpath',
    '--additional-deps',
    '--depsfile',
    '--runtimeconfig',
    '--fx-version',
    '--roll-forward',
  ]),
  subcommands: new Set(['exec']),
  tools: new Set(['run', 'watch', 'test', 'build', 'publish', 'restore', 'tool', 'msbuild', 'new', 'fsi']),
  extensions: ['.dll', '.exe'],
};

const shell: Interpreter = {
  ...bare,
  valueOptions: new Set(['--rcfile', '--init-file']),
  valueLetters: 'oO',
  codeLetters: 'c',
  extensions: ['.sh', '.bash', '.zsh', '.fish'],
};

const interpreters: ReadonlyMap<string, Interpreter> = new Map([
  ['python', python],
  ['pypy', python],
  ['node', node],
  ['nodejs', node],
  ['deno', deno],
  ['bun', bun],
  ['ruby', ruby],
  ['java', java],
  ['php', php],
  ['perl', perl],
  ['dotnet', dotnet],
  ...['sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'fish'].map((name): readonly [string, Interpreter] => [name, shell]),
]);

/** By base name of the executable, with or without a version: `python3.11`, `ruby3.1`, `php8.2`, `node-22`; `php-fpm8.2` is none. */
export function interpreterOf(executableName: string): Interpreter | undefined {
  return interpreters.get(executableName) ?? interpreters.get(executableName.replace(/-?[0-9][0-9.]*$/, ''));
}

/** What an interpreter runs: a file, a module (or class) by its dotted name, or nothing that has a name. */
export type Program =
  | { readonly kind: 'file'; readonly path: string; readonly args: readonly string[] }
  | { readonly kind: 'module'; readonly name: string; readonly args: readonly string[] }
  | { readonly kind: 'unnamed' };

const unnamed: Program = { kind: 'unnamed' };

/** `args`: of the process, args[0] included. */
export function programOf(interpreter: Interpreter, args: readonly string[]): Program {
  let isFirstWord = true;
  for (let i = 1; i < args.length; i++) {
    const argument = args[i] as string;
    if (argument === '' || argument === '-') return unnamed;
    if (argument === '--') return word(interpreter, args, i + 1);
    if (!argument.startsWith('-') && !argument.startsWith('+')) {
      if (isFirstWord && interpreter.tools.has(argument)) return unnamed;
      if (isFirstWord && interpreter.subcommands.has(argument)) {
        isFirstWord = false;
        continue;
      }
      // No program is called by a number: it is the value of an option that the table does not have.
      if (/^[0-9]+$/.test(argument)) continue;
      // java @options-file
      if (interpreter === java && argument.startsWith('@')) continue;
      return word(interpreter, args, i);
    }
    const equals = argument.indexOf('=');
    const option = equals === -1 ? argument : argument.slice(0, equals);
    if (interpreter.codeOptions.has(option)) return unnamed;
    if (interpreter.programOptions.has(option)) {
      return equals === -1 ? word(interpreter, args, i + 1) : word(interpreter, args.with(i, argument.slice(equals + 1)), i);
    }
    if (interpreter.valueOptions.has(option)) {
      if (equals === -1) i++;
      continue;
    }
    if (argument.startsWith('--')) continue;
    for (let at = 1; at < argument.length; at++) {
      const letter = argument[at] as string;
      if (interpreter.codeLetters.includes(letter)) return unnamed;
      if (interpreter.attachedLetters.includes(letter)) break;
      const isLast = at === argument.length - 1;
      if (interpreter.programLetters.includes(letter)) {
        const name = isLast ? args[i + 1] : argument.slice(at + 1);
        if (name === undefined || name === '') return unnamed;
        const rest = args.slice(isLast ? i + 2 : i + 1);
        return interpreter === python ? { kind: 'module', name, args: rest } : { kind: 'file', path: name, args: rest };
      }
      if (interpreter.valueLetters.includes(letter)) {
        if (isLast) i++;
        break;
      }
    }
  }
  return unnamed;
}

function word(interpreter: Interpreter, args: readonly string[], index: number): Program {
  const path = args[index];
  if (path === undefined || path === '') return unnamed;
  const rest = args.slice(index + 1);
  // java names a class, or a module and perhaps a class in it, unless it is given a file.
  if (interpreter === java && !interpreter.extensions.some((extension) => path.endsWith(extension))) {
    const slash = path.indexOf('/');
    return { kind: 'module', name: lastPart(slash === -1 ? path : path.slice(slash + 1)), args: rest };
  }
  return { kind: 'file', path, args: rest };
}

function lastPart(className: string): string {
  return className.slice(className.lastIndexOf('.') + 1);
}
