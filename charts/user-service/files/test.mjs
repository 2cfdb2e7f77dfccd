// What `helm test` runs: is the service there for its clients, and how is what it depends on?
const base = process.argv[1];

async function ask(path) {
  const response = await fetch(`${base}${path}`, { signal: AbortSignal.timeout(5_000) });
  return { status: response.status, body: await response.json() };
}

try {
  const ready = await ask("/health/ready");
  const { status, services } = (await ask("/health/services")).body;
  const parts = Object.entries(services).map(([name, { state, detail }]) => `${name} ${state}${detail ? ` (${detail})` : ""}`);
  console.log(`${base} is ${ready.body.status}, its parts are ${status}: ${parts.join(", ")}`);
  process.exitCode = ready.status === 200 && status !== "down" ? 0 : 1;
} catch (error) {
  console.log(`${base} does not answer: ${error.cause?.message ?? error.message}`);
  process.exitCode = 1;
}
