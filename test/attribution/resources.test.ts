import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResources } from '../../receiver/attribution/resources.ts';
import type { HostInfo, Resources } from '../../receiver/attribution/resources.ts';
import type { ProcessImage } from '../../receiver/model/process.ts';
import { imageOf } from './image.ts';

const host: HostInfo = { id: '5e1f0c2b7a9d4e3f8b6c0d1e2f3a4b5c', name: 'web-1', arch: 'amd64' };
const containerId = 'ab'.repeat(32);
const podUid = '7f0f2a3c-1f5b-4c6e-9a55-0d3c4b2a1f00';

function resources(maxProcesses = 10, of: HostInfo = host): Resources {
  return createResources({ host: of, version: '1.2.3', maxProcesses });
}

function attributesOf(image: ProcessImage, of: HostInfo = host): Record<string, unknown> {
  return Object.fromEntries(resources(10, of).resourceOf(image).attributes);
}

test('a plain process', () => {
  assert.deepEqual(attributesOf(imageOf()), {
    'service.name': 'shop',
    // python3: uuid.uuid5(uuid.UUID('4d63009a-8d0f-11ee-aad7-4c796ed8e320'), '5e1f0c2b7a9d4e3f8b6c0d1e2f3a4b5c/4242/1000000')
    'service.instance.id': '78e307ca-471e-59dd-8e45-451802e68201',
    'host.name': 'web-1',
    'host.id': host.id,
    'host.arch': 'amd64',
    'os.type': 'linux',
    'process.pid': 4242,
    'process.executable.name': 'shop',
    'process.executable.path': '/usr/bin/shop',
    'telemetry.sdk.name': 'usm',
    'telemetry.sdk.version': '1.2.3',
  });
});

test('the service name stands beside the attributes, too', () => {
  assert.equal(resources().resourceOf(imageOf({ environment: { OTEL_SERVICE_NAME: 'cart' } })).serviceName, 'cart');
});

test('a container in a pod', () => {
  const attributes = attributesOf(imageOf({ cgroupPath: `/kubepods/besteffort/pod${podUid}/${containerId}` }));
  assert.equal(attributes['container.id'], containerId);
  assert.equal(attributes['k8s.pod.uid'], podUid);
});

test('the environment adds attributes, wins over what we think, and cannot change facts', () => {
  const attributes = attributesOf(
    imageOf({
      environment: {
        OTEL_SERVICE_NAME: 'cart',
        OTEL_RESOURCE_ATTRIBUTES: [
          'service.name=other',
          'service.namespace=shop',
          'service.version=2.0',
          'service.instance.id=cart-0',
          'host.name=node-7',
          'deployment.environment.name=test',
          'process.pid=1',
          'process.executable.name=fake',
          'process.executable.path=/fake',
          'telemetry.sdk.name=opentelemetry',
          'telemetry.sdk.language=cobol',
        ].join(','),
      },
    }),
  );
  assert.deepEqual(attributes, {
    'service.name': 'cart',
    'service.namespace': 'shop',
    'service.version': '2.0',
    'service.instance.id': 'cart-0',
    'deployment.environment.name': 'test',
    'host.name': 'node-7',
    'host.id': host.id,
    'host.arch': 'amd64',
    'os.type': 'linux',
    'process.pid': 4242,
    'process.executable.name': 'shop',
    'process.executable.path': '/usr/bin/shop',
    'telemetry.sdk.name': 'usm',
    'telemetry.sdk.version': '1.2.3',
  });
});

test('what is not known is not there', () => {
  const attributes = attributesOf(imageOf({ executablePath: '', args: [], comm: '' }), { ...host, id: undefined });
  for (const key of [
    'host.id',
    'process.executable.name',
    'process.executable.path',
    'container.id',
    'k8s.pod.uid',
    'telemetry.sdk.language',
  ]) {
    assert.ok(!(key in attributes), key);
  }
  assert.equal(attributes['service.name'], 'unknown_service');
});

test('the language is that of the interpreter', () => {
  assert.equal(attributesOf(imageOf({ executablePath: '/usr/bin/python3.11' }))['telemetry.sdk.language'], 'python');
  assert.equal(attributesOf(imageOf({ executablePath: '/usr/bin/node' }))['telemetry.sdk.language'], 'nodejs');
});

test('an instance is a process on a host: pid, start time and host all count, and nothing else does', () => {
  const instanceOf = (image: ProcessImage, of?: HostInfo): unknown => attributesOf(image, of)['service.instance.id'];
  const first = instanceOf(imageOf());
  assert.match(String(first), /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(instanceOf(imageOf({ comm: 'x', args: [] })), first);
  assert.notEqual(instanceOf(imageOf({ pid: 4243 })), first);
  assert.notEqual(instanceOf(imageOf({ startTime: 1_000_001 })), first);
  assert.notEqual(instanceOf(imageOf(), { ...host, id: 'ff' + '0'.repeat(30) }), first);
  assert.notEqual(
    instanceOf(imageOf(), { ...host, id: undefined }),
    instanceOf(imageOf(), { ...host, id: undefined, name: 'web-2' }),
  );
});

test('an image keeps its resource, another image has another', () => {
  const { resourceOf } = resources();
  const [a, b] = [imageOf(), imageOf()];
  const resource = resourceOf(a);
  assert.notEqual(resourceOf(b), resource);
  assert.equal(resourceOf(a), resource);
});

test('the one not used for longest makes room', () => {
  const { resourceOf } = resources(2);
  const [a, b, c] = [imageOf({ pid: 1 }), imageOf({ pid: 2 }), imageOf({ pid: 3 })];
  const ofA = resourceOf(a);
  const ofB = resourceOf(b);
  assert.equal(resourceOf(a), ofA);
  resourceOf(c);
  assert.equal(resourceOf(a), ofA, 'a was used after b');
  assert.notEqual(resourceOf(b), ofB, 'b made room');
});

test('what the SDK publishes goes before the environment, and cannot change facts', () => {
  const environment = {
    OTEL_SERVICE_NAME: 'told',
    OTEL_RESOURCE_ATTRIBUTES: 'service.version=1,service.instance.id=told-0,deployment.environment.name=test',
  };
  const published = new Map<string, string | number>([
    ['service.name', 'cart'],
    ['service.version', '2'],
    ['service.instance.id', '627cc493-f310-47de-96bd-71410b7dec09'],
    ['host.name', 'node-7'],
    ['process.pid', 1],
    ['process.runtime.name', 'cpython'],
    ['telemetry.sdk.name', 'opentelemetry'],
    ['telemetry.sdk.language', 'python'],
  ]);
  const image = imageOf({ environment, published });
  assert.equal(resources().resourceOf(image).serviceName, 'cart');
  assert.deepEqual(attributesOf(image), {
    'service.name': 'cart',
    'service.version': '2',
    'service.instance.id': '627cc493-f310-47de-96bd-71410b7dec09',
    'deployment.environment.name': 'test',
    'host.name': 'node-7',
    'host.id': host.id,
    'host.arch': 'amd64',
    'os.type': 'linux',
    'process.pid': 4242,
    'process.executable.name': 'shop',
    'process.executable.path': '/usr/bin/shop',
    'process.runtime.name': 'cpython',
    'telemetry.sdk.name': 'usm',
    'telemetry.sdk.version': '1.2.3',
    'telemetry.sdk.language': 'python',
  });
});

test('an SDK that publishes no name leaves the order below as it is', () => {
  const published = new Map([['service.version', '2']]);
  assert.equal(attributesOf(imageOf({ published }))['service.name'], 'shop');
  assert.equal(attributesOf(imageOf({ environment: { OTEL_SERVICE_NAME: 'told' }, published }))['service.name'], 'told');
});
