// Process → the name of the service that it is: what its SDK has published, what it was told (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES), else what
// it runs.
// For an interpreter that is the script, module or jar; everything else is its executable, whatever it writes into its title.
import type { ProcessImage } from '../model/process.ts';
import type { Interpreter, Program } from './interpreters.ts';
import { interpreterOf, programOf } from './interpreters.ts';

export const UNKNOWN_SERVICE = 'unknown_service';

/** Scripts that serve the application they are given. */
const pythonLaunchers: ReadonlySet<string> = new Set([
  'gunicorn',
  'uvicorn',
  'hypercorn',
  'daphne',
  'granian',
  'waitress-serve',
  'waitress',
]);
/** uwsgi options that name the application. */
const uwsgiOptions: readonly string[] = ['--module', '-w', '--wsgi', '--wsgi-file', '--file'];

/** `attributes`: those of OTEL_RESOURCE_ATTRIBUTES. */
export function serviceName(image: ProcessImage, attributes: ReadonlyMap<string, string> | undefined): string {
  const published = image.published?.get('service.name');
  if (typeof published === 'string') return published;
  const told = image.environment.get('OTEL_SERVICE_NAME')?.trim();
  if (told !== undefined && told !== '') return told;
  return attributes?.get('service.name') ?? programName(image);
}

/** Base name of the executable, as far as it is known. */
export function executableName(image: ProcessImage): string {
  if (image.executablePath !== '') return baseName(image.executablePath);
  return baseName(image.args[0] ?? '') || image.comm;
}

function programName(image: ProcessImage): string {
  const executable = executableName(image);
  if (executable === '') return UNKNOWN_SERVICE;
  if (executable === 'busybox') return appletName(image.args) || executable;
  if (executable === 'uwsgi' || executable.startsWith('uwsgi-')) return uwsgiApplication(image.args) || executable;
  const interpreter = interpreterOf(executable);
  if (interpreter === undefined) return executable;
  const title = processTitle(image.args);
  if (title !== undefined) return titleName(title) || executable;
  return nameOf(interpreter, programOf(interpreter, image.args)) || executable;
}

/** '' when the program has no name. */
function nameOf(interpreter: Interpreter, program: Program): string {
  switch (program.kind) {
    case 'unnamed':
      return '';
    case 'module':
      return (interpreter.language === 'python' && launchedApplication(program.name, program.args)) || program.name;
    case 'file': {
      // A program that comes through a descriptor has no name.
      if (program.path.startsWith('/dev/') || program.path.startsWith('/proc/')) return '';
      const name = scriptName(interpreter, program.path);
      if (interpreter.language === 'python' && pythonLaunchers.has(name)) return launchedApplication(name, program.args) || name;
      // bundle exec puma
      if (name === 'bundle' && program.args[0] === 'exec') return baseName(program.args[1] ?? '') || name;
      return name;
    }
  }
}

function scriptName(interpreter: Interpreter, path: string): string {
  let name = baseName(path);
  for (const extension of interpreter.extensions) {
    if (name.length > extension.length && name.endsWith(extension)) {
      name = name.slice(0, -extension.length);
      break;
    }
  }
  // python runs a package as its __main__.py
  return name === '__main__' ? baseName(path.slice(0, path.lastIndexOf('/'))) || name : name;
}

/** `gunicorn -b 0.0.0.0:80 shop.wsgi:application` → `shop.wsgi`; '' if no argument is clearly the application. */
function launchedApplication(launcher: string, args: readonly string[]): string {
  if (!pythonLaunchers.has(launcher)) return '';
  for (const [i, argument] of args.entries()) {
    const [module = '', ...rest] = argument.split(':');
    if (!isDottedName(module) || rest.length > 1) continue;
    const object = rest[0];
    if (object !== undefined && isDottedName(object.replace(/\(.*\)$/, ''))) return module;
    // Without an object it may as well be the value of the option before it.
    if (object === undefined && module.includes('.') && !(args[i - 1] ?? '').startsWith('-')) return module;
  }
  return '';
}

function isDottedName(text: string): boolean {
  return /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(text);
}

function uwsgiApplication(args: readonly string[]): string {
  for (const [i, argument] of args.entries()) {
    for (const option of uwsgiOptions) {
      const value =
        argument === option ? args[i + 1] : argument.startsWith(option + '=') ? argument.slice(option.length + 1) : undefined;
      if (value === undefined || value === '') continue;
      const name = baseName(value.split(':')[0] as string);
      return name.endsWith('.py') ? name.slice(0, -'.py'.length) : name;
    }
  }
  return '';
}

/** busybox httpd, or a link called httpd. */
function appletName(args: readonly string[]): string {
  const name = baseName(args[0] ?? '');
  return name === 'busybox' ? (args[1] ?? '') : name;
}

/** What a process wrote over its arguments: a first one that is no way to call an interpreter, and nothing after it. */
function processTitle(args: readonly string[]): string | undefined {
  const [first, ...rest] = args;
  if (first === undefined || rest.some((argument) => argument !== '')) return undefined;
  // A login shell is called with a hyphen before its name.
  const called = baseName(first.split(' ')[0] as string).replace(/^-/, '');
  return called === '' || interpreterOf(called) !== undefined ? undefined : first;
}

/** `gunicorn: worker [shop]` and `puma 6.4 (tcp://0.0.0.0:80) [shop]` → `shop`; `sidekiq 7.2 shop` → `sidekiq`. */
function titleName(title: string): string {
  const bracket = title.endsWith(']') ? title.lastIndexOf('[') : -1;
  const inside = bracket === -1 ? '' : title.slice(bracket + 1, -1).trim();
  if (inside !== '' && !inside.includes(' ')) return inside;
  const word = baseName(title.split(' ')[0] as string);
  return word.endsWith(':') ? word.slice(0, -1) : word;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
