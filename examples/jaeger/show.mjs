// Asks Jaeger's query API until both ends of the demo are there, and prints a line for each span.
const api = `http://127.0.0.1:${process.env.QUERY_PORT}/api/traces?limit=100&service=`;
const deadline = Date.now() + 20_000;
for (const service of ['http.server', 'curl']) {
  let traces = [];
  while (traces.reduce((sum, trace) => sum + trace.spans.length, 0) < 2) {
    if (Date.now() > deadline) throw new Error(`Jaeger has not got the spans of ${service}`);
    traces = (await (await fetch(api + service)).json()).data ?? [];
  }
  const lines = traces.flatMap((trace) =>
    trace.spans.map((span) => {
      const tag = (key) => span.tags.find((one) => one.key === key)?.value;
      return `${service}: ${tag('span.kind')} ${span.operationName} ${tag('url.full') ?? tag('url.path')} ${tag('http.response.status_code')}`;
    }),
  );
  console.log(lines.sort().join('\n'));
}
