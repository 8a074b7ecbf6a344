// An HTTP server or client whose spans OpenTelemetry's SDK and its instrumentation of node:http make, export, and send on as traceparent. The protocol is
// that of ../README.md, without truth: that is what they export (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT). A server asks the port behind it before it answers.
//   opentelemetry.cjs serve PORT [ADDON]    with the addon of examples/node-binding, and its context-manager.cjs beside this file: publishes its spans
//   opentelemetry.cjs call PORT
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto');
const { registerInstrumentations } = require('@opentelemetry/instrumentation');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
const { detectResources, envDetector } = require('@opentelemetry/resources');
const { BatchSpanProcessor, NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');

const provider = new NodeTracerProvider({
  resource: detectResources({ detectors: [envDetector] }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(), { scheduledDelayMillis: 200 })],
});
const [role, port, addonFile] = process.argv.slice(2);
if (addonFile === undefined) {
  provider.register();
} else {
  const { ThreadContextManager } = require('./context-manager.cjs');
  const addon = require(addonFile);
  addon.publish(process.env.OTEL_SERVICE_NAME);
  provider.register({ contextManager: new ThreadContextManager(addon) });
}
registerInstrumentations({ instrumentations: [new HttpInstrumentation()], tracerProvider: provider });

// Only now, so that they are instrumented.
const http = require('node:http');
const { createInterface } = require('node:readline');

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const agent = new http.Agent({ keepAlive: true });

/** The answer's body. */
function get(target) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path: target, agent }, (response) => {
      let body = '';
      response.setEncoding('latin1');
      response.on('data', (text) => (body += text));
      response.on('end', () => resolve(body));
    });
    request.on('error', reject);
  });
}

async function serve() {
  const server = http.createServer(async (request, response) => {
    const body = await get(request.url);
    response.setHeader('content-length', body.length);
    response.end(body);
  });
  server.listen(0, '127.0.0.1', () => say({ kind: 'ready', port: server.address().port }));
  process.stdin.resume().on('end', () => process.exit(0));
}

async function call() {
  say({ kind: 'ready' });
  for await (const line of createInterface({ input: process.stdin })) {
    const [, first, count, concurrency] = line.split(' ').map(Number);
    let next = first;
    let failed = 0;
    const work = async () => {
      while (next < first + count) {
        const body = await get(`/echo?id=${next++}&size=10`);
        if (body.length !== 10) failed++;
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    await provider.forceFlush();
    say({ kind: 'done', failed });
  }
  process.exit(0);
}

if (role === 'serve') serve();
else call();
