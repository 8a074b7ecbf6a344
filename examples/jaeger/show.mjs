// Asks Jaeger's query API until both ends of the demo are there, and prints a line for each span.
const api = `http://127.0.0.1:${process.env.QUERY_PORT}/api/traces?limit=100&service=`;
const deadline = Date.now() + 20_000;
for (const service of ['http.server', 'curl']) {
  let spans = [];
  while (spans.length < 2) {
    if (Date.now() > deadline) throw new Error(`Jaeger has not got the spans of ${service}`);
    const traces = (await (await fetch(api + service)).json()).data ?? [];
    // The other end of the exchange is in the same trace.
    spans = traces.flatMap((trace) => trace.spans.filter((span) => trace.processes[span.processID].serviceName === service));
  }
  const lines = spans.map((span) => {
    const tag = (key) => span.tags.find((one) => one.key === key)?.value;
    return `${service}: ${tag('span.kind')} ${span.operationName} ${tag('url.full') ?? tag('url.path')} ${tag('http.response.status_code')}`;
  });
  console.log(lines.sort().join('\n'));
}
