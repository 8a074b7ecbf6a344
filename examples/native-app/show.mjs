// Waits until Jaeger has the whole trace, by its id, and prints it as a tree.
const { QUERY_PORT } = process.env;
const [, , traceId] = process.argv;
const deadline = Date.now() + 30_000;
const isOurs = (trace, span) =>
  trace.processes[span.processID].tags.some(({ key, value }) => key === 'telemetry.sdk.name' && value === 'usm');

async function wholeTrace() {
  const response = await fetch(`http://127.0.0.1:${QUERY_PORT}/api/traces/${traceId}`);
  const [trace] = (await response.json()).data ?? [];
  // One span is the program's; the receiver has one of each end of the exchange.
  return trace?.spans.length === 3 ? trace : undefined;
}

function lines(trace, parent, indent) {
  const children = trace.spans.filter((span) => (span.references[0]?.spanID ?? '') === parent);
  return children.flatMap((span) => {
    const tag = (key) => span.tags.find((one) => one.key === key)?.value;
    const service = trace.processes[span.processID].serviceName;
    const text = isOurs(trace, span)
      ? `usm-receiver: ${service} ${tag('span.kind')} ${span.operationName} ${tag('url.full') ?? tag('url.path')}`
      : `report.c: ${service} ${span.operationName}`;
    return [`${indent}${text}`, ...lines(trace, span.spanID, `${indent}  `)];
  });
}

let trace;
while ((trace = await wholeTrace()) === undefined) {
  if (Date.now() > deadline) throw new Error(`Jaeger has not got all of the trace ${traceId}`);
  await new Promise((resolve) => setTimeout(resolve, 200));
}
console.log(lines(trace, '', '').join('\n'));
