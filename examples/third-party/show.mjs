// Asks the application for a price until Jaeger has a trace in which the receiver has joined the application's spans, and prints it as a tree:
// show.mjs SERVICE TRACER
const [service, tracer] = process.argv.slice(2);
const { QUERY_PORT, DEMO_PORT } = process.env;
const deadline = Date.now() + 30_000;
const isOurs = (trace, span) =>
  trace.processes[span.processID].tags.some(({ key, value }) => key === 'telemetry.sdk.name' && value === 'usm');

async function joined() {
  const response = await fetch(`http://127.0.0.1:${QUERY_PORT}/api/traces?limit=100&service=${service}`);
  const traces = (await response.json()).data ?? [];
  // Two spans are the tracer's; the receiver has one of each end of the inner exchange, and one of the outer one's server.
  return traces.find((trace) => trace.spans.length === 5 && trace.spans.filter((span) => isOurs(trace, span)).length === 3);
}

function lines(trace, parent, indent) {
  const children = trace.spans.filter((span) => (span.references[0]?.spanID ?? '') === parent);
  return children
    .sort((a, b) => a.startTime - b.startTime)
    .flatMap((span) => {
      const tag = (key) => span.tags.find((one) => one.key === key)?.value;
      const name = trace.processes[span.processID].serviceName;
      const text = isOurs(trace, span)
        ? `usm-receiver: ${name} ${tag('span.kind')} ${span.operationName} ${tag('url.full') ?? tag('url.path')}`
        : `${tracer}: ${name} ${span.operationName}`;
      return [`${indent}${text}`, ...lines(trace, span.spanID, `${indent}  `)];
    });
}

let trace;
while ((trace = await joined()) === undefined) {
  if (Date.now() > deadline) throw new Error('Jaeger has not got a trace of both');
  await fetch(`http://127.0.0.1:${DEMO_PORT}/cart`).then((response) => response.text());
  await new Promise((resolve) => setTimeout(resolve, 500));
}
console.log(lines(trace, '', '').join('\n'));
