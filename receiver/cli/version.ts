// Who we are, for --version, the instrumentation scope and the User-Agent. A test compares it with package.json.
export const product = 'usm-receiver';
export const version = '0.1.0';
