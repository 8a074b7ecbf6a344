// Reads the Collector's Prometheus page until it counts all requests, prints a line for each series: requests, errors, duration; and
// the bytes of their connections. Then takes an exemplar of a client's and asks Jaeger's query API for the trace that it names.
const expected = { http_server_request_duration_seconds: 7, http_client_request_duration_seconds: 7 };
const bytes = 'usm_connection_io_bytes_total';
const deadline = Date.now() + 30_000;

async function waitFor(what, condition) {
  for (;;) {
    const result = await condition();
    if (result !== undefined) return result;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** `name{label="value",…} number # {label="value",…} …` → its parts; the part behind `#` is the exemplar. */
function parseLine(line) {
  const [, name, labels, value, exemplar] = /^(\w+)\{(.*?)\} (\S+)(?: # \{(.*?)\} .*)?$/.exec(line) ?? [];
  return { name, labels: parseLabels(labels), value: Number(value), exemplar: exemplar && parseLabels(exemplar) };
}

function parseLabels(text = '') {
  return Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]));
}

function isExample({ name, exemplar }) {
  return exemplar?.trace_id !== undefined && name === 'http_client_request_duration_seconds_bucket';
}

async function readPage() {
  const headers = { accept: 'application/openmetrics-text; version=1.0.0' };
  const page = await (await fetch(`http://127.0.0.1:${process.env.PAGE_PORT}/metrics`, { headers })).text();
  return page
    .split('\n')
    .filter((line) => /^(http|usm)_/.test(line))
    .map(parseLine);
}

const samples = await waitFor('all requests and an exemplar', async () => {
  const page = await readPage();
  const total = (metric) => page.filter(({ name }) => name === `${metric}_count`).reduce((sum, { value }) => sum + value, 0);
  const isWhole = Object.entries(expected).every(([metric, count]) => total(metric) === count);
  if (!page.some(({ name }) => name === bytes)) return undefined;
  return isWhole && page.some(isExample) ? page : undefined;
});

for (const metric of Object.keys(expected)) {
  for (const { labels, value: count } of samples.filter(({ name }) => name === `${metric}_count`)) {
    const { job, server_address, server_port, http_request_method, http_response_status_code, error_type } = labels;
    const sum = samples.find(
      ({ name, labels: other }) => name === `${metric}_sum` && JSON.stringify(other) === JSON.stringify(labels),
    );
    const who = server_address === undefined ? job : `${job} to ${server_address}:${server_port}`;
    const status = `${http_response_status_code}${error_type === undefined ? '' : ` (error ${error_type})`}`;
    const mean = Math.round((sum.value / count) * 1e6);
    console.log(`${metric}: ${who}: ${http_request_method} ${status}: ${count} requests of ${mean} µs`);
  }
}

const ofConnections = samples
  .filter(({ name }) => name === bytes)
  .map(({ labels, value }) => {
    const { job, usm_connection_role, server_address, server_port, network_io_direction } = labels;
    return `${bytes}: ${job}, ${usm_connection_role} of ${server_address}:${server_port}: ${network_io_direction} ${value}`;
  });
console.log(ofConnections.sort().join('\n'));

const { labels, exemplar } = samples.find(isExample);
console.log(`exemplar of a request by ${labels.job}: trace ${exemplar.trace_id}`);
const trace = await waitFor('the trace in Jaeger', async () => {
  const response = await fetch(`http://127.0.0.1:${process.env.QUERY_PORT}/api/traces/${exemplar.trace_id}`);
  const [found] = response.ok ? (await response.json()).data : [];
  return found?.spans.length === 2 ? found : undefined;
});
const lines = trace.spans.map((span) => {
  const tag = (key) => span.tags.find((one) => one.key === key)?.value;
  return `- ${trace.processes[span.processID].serviceName}: ${tag('span.kind')} ${span.operationName} of ${span.duration} µs`;
});
console.log(lines.sort().join('\n'));
