// The key `collector` of the `usm` block: how a Collector that has the component `usm` and this receiver meet. Most of it is read by the component
// (receiver/usmreceiver/); it stands here so that one schema, and one file, serves both.
import type { Schema } from './schema.ts';

export const collectorSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description:
    'How a Collector that has the component `usm`, and the receiver, come together. Without such a Collector it is checked and has no effect.',
  properties: {
    mode: {
      type: 'string',
      enum: ['attach', 'supervise'],
      default: 'attach',
      description:
        'Who starts the receiver: you, beside the Collector, as `usm-receiver attach` (`attach`), or the Collector, as its child (`supervise`).',
    },
    socket: {
      type: 'string',
      format: 'socket-path',
      default: '/run/usm-receiver/collector.sock',
      description: 'UNIX socket on which the Collector takes what the receiver sends. The Collector makes it, and its folder.',
    },
    max_recv_msg_size_mib: {
      type: 'integer',
      minimum: 4,
      maximum: 1024,
      default: 64,
      description: 'The largest export request that the Collector takes.',
    },
    executable: {
      type: 'string',
      format: 'absolute-path',
      default: '/usr/bin/usm-receiver',
      description:
        '`supervise`: the program to start. A regular file, executable, that belongs to root or to the user of the Collector, and that nobody else may write to.',
    },
    startup_timeout: {
      type: 'string',
      format: 'go-duration',
      range: ['1s', '10m'],
      default: '30s',
      description: '`supervise`: how long the receiver may take until it first reports. After that it is started anew.',
    },
    shutdown_timeout: {
      type: 'string',
      format: 'go-duration',
      range: ['1s', '15m'],
      default: '10s',
      description:
        '`supervise`: how long the receiver may take to end before it is killed. Give it more than the `shutdown_timeout` beside `collector`.',
    },
    memory_limit_mib: {
      type: 'integer',
      minimum: 128,
      maximum: 1048576,
      default: 512,
      description: '`supervise`: what the receiver may have of memory at most. Beyond it, it is killed and started anew.',
    },
    restart: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: '`supervise`: how long to wait before a receiver that has ended is started anew.',
      properties: {
        initial_interval: {
          type: 'string',
          format: 'go-duration',
          range: ['100ms', '1h'],
          default: '1s',
          description: 'The first wait, and the first again after the receiver has run well for a while.',
        },
        multiplier: {
          type: 'number',
          minimum: 1,
          maximum: 10,
          default: 2,
          description: 'What each wait is multiplied by for the next one.',
        },
        max_interval: {
          type: 'string',
          format: 'go-duration',
          range: ['100ms', '24h'],
          notLessThan: 'collector::restart::initial_interval',
          default: '1m',
          description: 'The longest wait.',
        },
      },
    },
  },
} as const satisfies Schema;
