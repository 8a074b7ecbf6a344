import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResources, type HostInfo } from '../../receiver/attribution/resources.ts';
import { createServiceResources } from '../../receiver/attribution/service-resources.ts';
import type { ProcessImage } from '../../receiver/model/process.ts';
import { imageOf } from './image.ts';

const host: HostInfo = { id: 'host-id', name: 'host-name', arch: 'amd64' };

function attributesOf(image: ProcessImage | undefined, on: HostInfo = host): Readonly<Record<string, unknown>> {
  const resources = createResources({ host: on, version: '1.2.3', maxProcesses: 10 });
  return Object.fromEntries(createServiceResources({ host: on, resourceOf: resources.resourceOf })(image).attributes);
}

test('a service has what its processes have in common', () => {
  const environment = { OTEL_RESOURCE_ATTRIBUTES: 'service.namespace=eu,deployment.environment.name=prod,process.owner=x' };
  const attributes = attributesOf(imageOf({ environment, cgroupPath: `/docker-${'ab'.repeat(32)}.scope` }));
  assert.deepEqual(attributes, {
    'service.name': 'shop',
    'service.namespace': 'eu',
    'service.instance.id': attributes['service.instance.id'],
    'deployment.environment.name': 'prod',
    'host.name': 'host-name',
    'host.id': 'host-id',
    'host.arch': 'amd64',
    'os.type': 'linux',
    'container.id': 'ab'.repeat(32),
    'telemetry.sdk.name': 'usm',
    'telemetry.sdk.version': '1.2.3',
  });
  assert.match(
    String(attributes['service.instance.id']),
    /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
});

test('workers are equal, whatever their order of being seen; services, hosts and containers are not', () => {
  const one = attributesOf(imageOf({ pid: 1 }));
  assert.deepEqual(attributesOf(imageOf({ pid: 2, startTime: 9, args: ['/usr/bin/shop', '--worker'] })), one);
  const others = [
    attributesOf(imageOf({ executablePath: '/usr/bin/cart' })),
    attributesOf(imageOf({}), { ...host, id: 'other' }),
    attributesOf(imageOf({}), { ...host, id: undefined }),
    attributesOf(imageOf({ cgroupPath: `/docker-${'cd'.repeat(32)}.scope` })),
    attributesOf(imageOf({ environment: { OTEL_RESOURCE_ATTRIBUTES: 'service.version=2' } })),
    attributesOf(undefined),
  ];
  const ids = [one, ...others].map((attributes) => attributes['service.instance.id']);
  assert.equal(new Set(ids).size, ids.length);
});

test('an instance id that the service was told stays', () => {
  const environment = { OTEL_RESOURCE_ATTRIBUTES: 'service.instance.id=pod-7' };
  assert.equal(attributesOf(imageOf({ environment }))['service.instance.id'], 'pod-7');
  const published = new Map([['service.instance.id', 'of-one-process']]);
  assert.equal(attributesOf(imageOf({ environment, published }))['service.instance.id'], 'pod-7');
});

test('workers whose SDKs publish an instance id each are one service', () => {
  const one = imageOf({
    published: new Map([
      ['service.name', 'cart'],
      ['service.instance.id', 'a'],
    ]),
  });
  const other = imageOf({
    pid: 2,
    published: new Map([
      ['service.name', 'cart'],
      ['service.instance.id', 'b'],
    ]),
  });
  assert.equal(attributesOf(one)['service.name'], 'cart');
  assert.deepEqual(attributesOf(one), attributesOf(other));
});
