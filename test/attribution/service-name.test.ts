import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseResourceAttributes } from '../../receiver/attribution/resource-attributes.ts';
import { serviceName } from '../../receiver/attribution/service-name.ts';
import type { ProcessImage } from '../../receiver/model/process.ts';
import { imageOf } from './image.ts';

function nameOf(image: ProcessImage): string {
  return serviceName(image, parseResourceAttributes(image.environment.get('OTEL_RESOURCE_ATTRIBUTES') ?? ''));
}

describe('what a process was told', () => {
  const rows: readonly [title: string, environment: Readonly<Record<string, string>>, expected: string][] = [
    ['OTEL_SERVICE_NAME', { OTEL_SERVICE_NAME: 'cart' }, 'cart'],
    ['service.name', { OTEL_RESOURCE_ATTRIBUTES: 'service.version=1,service.name=cart' }, 'cart'],
    ['OTEL_SERVICE_NAME first', { OTEL_SERVICE_NAME: 'cart', OTEL_RESOURCE_ATTRIBUTES: 'service.name=other' }, 'cart'],
    ['percent-encoded', { OTEL_RESOURCE_ATTRIBUTES: 'service.name=the%20cart%2C%C3%A9' }, 'the cart,\u00e9'],
    ['an empty OTEL_SERVICE_NAME is none', { OTEL_SERVICE_NAME: ' ', OTEL_RESOURCE_ATTRIBUTES: 'service.name=cart' }, 'cart'],
    ['an empty service.name is none', { OTEL_RESOURCE_ATTRIBUTES: 'service.name=' }, 'shop'],
    ['malformed attributes are none', { OTEL_RESOURCE_ATTRIBUTES: 'service.name=cart,oops' }, 'shop'],
    ['nothing', {}, 'shop'],
  ];
  for (const [title, environment, expected] of rows) {
    test(title, () => {
      assert.equal(nameOf(imageOf({ environment })), expected);
    });
  }
});

describe('what a process runs', () => {
  // Executable, arguments after the first one.
  const rows: readonly [executable: string, args: string, expected: string][] = [
    ['/usr/sbin/nginx', '-g daemon', 'nginx'],
    ['/usr/sbin/php-fpm8.2', '--nodaemonize', 'php-fpm8.2'],
    ['/opt/app/server', 'config.py', 'server'],

    ['/usr/bin/python3.11', '', 'python3.11'],
    ['/usr/bin/python3.11', '/srv/shop.py', 'shop'],
    ['/usr/bin/python3.11', 'app.py serve.py', 'app'],
    ['/usr/bin/python3.11', '-u -OO -W ignore -X dev /srv/shop.py', 'shop'],
    ['/usr/bin/python3.11', '-uW ignore shop.py', 'shop'],
    ['/usr/bin/python3.11', '-Wignore shop.py', 'shop'],
    ['/usr/bin/python3.11', '--check-hash-based-pycs always shop.py', 'shop'],
    ['/usr/bin/python3.11', '-m http.server 8000', 'http.server'],
    ['/usr/bin/python3.11', '-Im pkg.mod -c x', 'pkg.mod'],
    ['/usr/bin/python3.11', '-mpkg.mod', 'pkg.mod'],
    ['/usr/bin/python3.11', '-m', 'python3.11'],
    ['/usr/bin/python3.11', '-c print() shop.py', 'python3.11'],
    ['/usr/bin/python3.11', '- shop.py', 'python3.11'],
    ['/usr/bin/python3.11', '-- -odd.py', '-odd'],
    ['/usr/bin/python3.11', '/srv/shop/__main__.py', 'shop'],
    ['/usr/bin/python3.11', '/srv/my.app/run', 'run'],
    ['/usr/local/bin/pypy3.10', 'shop.py', 'shop'],
    ['/usr/bin/python3.11', '/usr/bin/gunicorn -b 0.0.0.0:80 -w 4 shop.wsgi:application', 'shop.wsgi'],
    ['/usr/bin/python3.11', '/usr/bin/gunicorn -b 0.0.0.0:80 shop.wsgi', 'shop.wsgi'],
    ['/usr/bin/python3.11', '/usr/bin/gunicorn -k uvicorn.workers.UvicornWorker main:app', 'main'],
    ['/usr/bin/python3.11', '/usr/bin/gunicorn shop:create_app() --bind localhost:80', 'shop'],
    ['/usr/bin/python3.11', '/usr/bin/uvicorn --reload main:app --host 0.0.0.0', 'main'],
    ['/usr/bin/python3.11', '-m uvicorn main:app', 'main'],
    ['/usr/bin/python3.11', '/usr/bin/gunicorn -c conf.py', 'gunicorn'],
    ['/usr/bin/uwsgi', '--http :80 --module shop.wsgi:application', 'shop.wsgi'],
    ['/usr/bin/uwsgi-core', '--wsgi-file=/srv/shop.py', 'shop'],
    ['/usr/bin/uwsgi', '--ini uwsgi.ini', 'uwsgi'],

    ['/usr/local/bin/node', '', 'node'],
    ['/usr/local/bin/node', 'server.js', 'server'],
    ['/usr/local/bin/node', '/srv/app/index.mjs --port 80', 'index'],
    ['/usr/local/bin/node', '-r dotenv/config --import ./otel.mjs --require a.js server.cjs', 'server'],
    ['/usr/local/bin/node', '--require=a.js --max-old-space-size=4096 server.ts', 'server'],
    ['/usr/local/bin/node', '--max-old-space-size 4096 server.js', 'server'],
    ['/usr/local/bin/node', '--inspect=0.0.0.0:9229 --enable-source-maps server.js', 'server'],
    ['/usr/local/bin/node', '-e http.createServer() x.js', 'node'],
    ['/usr/local/bin/node', '--eval=1 x.js', 'node'],
    ['/usr/local/bin/node', '-pe 1', 'node'],
    ['/usr/local/bin/node', 'inspect server.js', 'node'],
    ['/usr/local/bin/node', '/srv/app', 'app'],
    ['/usr/bin/nodejs', 'bin/www', 'www'],
    ['/usr/bin/node-22', 'server.js', 'server'],
    ['/usr/bin/deno', 'run -A --config deno.json main.ts', 'main'],
    ['/usr/bin/deno', 'serve --port 80 main.ts', 'main'],
    ['/usr/bin/deno', 'task start', 'deno'],
    ['/usr/bin/bun', 'run server.ts', 'server'],
    ['/usr/bin/bun', '--preload ./a.ts server.ts', 'server'],

    ['/usr/bin/ruby3.1', 'config.ru', 'config'],
    ['/usr/bin/ruby3.1', '-I lib -rbundler/setup -W:no-deprecated -r json bin/shop.rb', 'shop'],
    ['/usr/bin/ruby3.1', '-e puts', 'ruby3.1'],
    ['/usr/bin/ruby3.1', '-S rackup', 'rackup'],
    ['/usr/bin/ruby3.1', '/usr/bin/bundle exec puma -p 80', 'puma'],
    ['/usr/bin/ruby3.1', 'bin/rails server', 'rails'],

    ['/usr/lib/jvm/java-17/bin/java', '-Xmx1g -Dx=y -javaagent:a.jar -jar /opt/app.jar --server', 'app'],
    ['/usr/lib/jvm/java-17/bin/java', '-cp a.jar:b.jar com.example.shop.Main arg', 'Main'],
    ['/usr/lib/jvm/java-17/bin/java', '--add-opens java.base/java.lang=ALL-UNNAMED -classpath x com.example.Shop', 'Shop'],
    ['/usr/lib/jvm/java-17/bin/java', '-p mods -m com.shop/com.shop.Server', 'Server'],
    ['/usr/lib/jvm/java-17/bin/java', '--module=com.shop/com.shop.Server', 'Server'],
    ['/usr/lib/jvm/java-17/bin/java', '@opts.txt Shop.java', 'Shop'],
    ['/usr/lib/jvm/java-17/bin/java', '-version', 'java'],
    ['/usr/lib/jvm/java-17/bin/java', '-jar', 'java'],

    ['/usr/bin/php8.2', '-d display_errors=1 /srv/shop.php', 'shop'],
    ['/usr/bin/php8.2', '-S localhost:80 -t public router.php', 'router'],
    ['/usr/bin/php8.2', '-S localhost:80', 'php8.2'],
    ['/usr/bin/php8.2', '-f worker.php', 'worker'],
    ['/usr/bin/php8.2', '-r phpinfo();', 'php8.2'],
    ['/usr/bin/php8.2', 'artisan serve', 'artisan'],
    ['/usr/bin/perl', '-w -MCarp=verbose -I lib shop.pl', 'shop'],
    ['/usr/bin/perl', '-ne print', 'perl'],
    ['/usr/share/dotnet/dotnet', '/app/Shop.Api.dll --urls http://*:80', 'Shop.Api'],
    ['/usr/share/dotnet/dotnet', 'exec --runtimeconfig a.json Shop.dll', 'Shop'],
    ['/usr/share/dotnet/dotnet', 'run --project x', 'dotnet'],
    ['/bin/bash', '-euo pipefail /srv/serve.sh', 'serve'],
    ['/bin/bash', '+o posix serve', 'serve'],
    ['/bin/bash', '-c curl', 'bash'],
    ['/bin/bash', '/dev/fd/63', 'bash'],
    ['/bin/dash', '', 'dash'],
    ['/bin/busybox', 'httpd -f', 'httpd'],
  ];
  for (const [executablePath, args, expected] of rows) {
    const called = executablePath.slice(executablePath.lastIndexOf('/') + 1);
    test(`${called} ${args} is ${expected}`, () => {
      assert.equal(nameOf(imageOf({ executablePath, args: [called, ...(args === '' ? [] : args.split(' '))] })), expected);
    });
  }
});

describe('titles, links and what cannot be known', () => {
  const python = '/usr/bin/python3.11';
  const rows: readonly [title: string, Partial<ProcessImage>, expected: string][] = [
    ['a title does not hide the executable', { executablePath: '/usr/sbin/nginx', args: ['nginx: worker process'] }, 'nginx'],
    [
      'the title of an interpreted program names it',
      { executablePath: python, args: ['gunicorn: worker [shop]', '', ''] },
      'shop',
    ],
    ['puma', { executablePath: '/usr/bin/ruby3.1', args: ['puma 6.4.0 (tcp://0.0.0.0:80) [shop]'] }, 'shop'],
    ['a title without an application', { executablePath: python, args: ['celeryd: shop@host:MainProcess'] }, 'celeryd'],
    ['a title that is one word', { executablePath: '/usr/bin/node', args: ['shop'] }, 'shop'],
    ['next.js', { executablePath: '/usr/bin/node', args: ['next-server (v15.0.0)'] }, 'next-server'],
    ['a login shell', { executablePath: '/bin/bash', args: ['-bash'] }, 'bash'],
    ['an interpreter called by another of its names', { executablePath: python, args: ['/venv/bin/python'] }, 'python3.11'],
    ['a link to busybox', { executablePath: '/bin/busybox', args: ['/usr/sbin/httpd', '-f'] }, 'httpd'],
    ['busybox without an applet', { executablePath: '/bin/busybox', args: ['busybox'] }, 'busybox'],
    ['no path: the first argument', { executablePath: '', args: ['/opt/shop', '-v'] }, 'shop'],
    ['no path of an interpreter', { executablePath: '', args: ['python3', 'cart.py'] }, 'cart'],
    ['no path, no arguments: the name of the thread', { executablePath: '', args: [], comm: 'cart' }, 'cart'],
    ['nothing', { executablePath: '', args: [], comm: '' }, 'unknown_service'],
    ['an interpreter whose arguments could not be read', { executablePath: python, args: [] }, 'python3.11'],
  ];
  for (const [title, { executablePath = '', args = [], comm = 'thread' }, expected] of rows) {
    test(title, () => {
      assert.equal(nameOf(imageOf({ executablePath, args, comm })), expected);
    });
  }
});
