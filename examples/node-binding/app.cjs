// An application that says what it does in two spans by OpenTelemetry's API, and whose HTTP library nobody has instrumented: app.cjs ADDON PORT PRICES_PORT.
const http = require('node:http');
const { trace } = require('@opentelemetry/api');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto');
const { detectResources, envDetector } = require('@opentelemetry/resources');
const { NodeTracerProvider, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-node');
const { ThreadContextManager } = require('./context-manager.cjs');

const [addonFile, port, pricesPort] = process.argv.slice(2);

// These three lines are all that the binding needs.
const addon = require(addonFile);
addon.publish(process.env.OTEL_SERVICE_NAME);
const contextManager = new ThreadContextManager(addon);

new NodeTracerProvider({
  resource: detectResources({ detectors: [envDetector] }),
  spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter())],
}).register({ contextManager });
const tracer = trace.getTracer('shop');

const lookUp = () =>
  new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port: pricesPort, path: '/price.txt' }, (response) => {
      let text = '';
      response.on('data', (data) => (text += data)).on('end', () => resolve(text));
    });
    request.on('error', reject);
  });

function inSpan(name, work) {
  return tracer.startActiveSpan(name, async (span) => {
    try {
      return await work();
    } finally {
      span.end();
    }
  });
}

http
  .createServer((_, response) => inSpan('checkout', async () => response.end(await inSpan('look the price up', lookUp))))
  .listen(Number(port), '127.0.0.1', () => console.log('serving'));
