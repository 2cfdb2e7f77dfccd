// Another app in a pod: applies events of users as a neighbour should, and tells what it noted. Runs on Node alone.
import { createServer } from "node:http";

const events = [];
const applied = {};
const gaps = [];

function note({ type, subject, userversion }) {
  events.push({ type, subject });
  const last = applied[subject] ?? userversion - 1;
  if (userversion <= last) return;
  if (userversion !== last + 1) gaps.push(`${subject} ${userversion} after ${last}`);
  applied[subject] = userversion;
}

createServer(async (request, response) => {
  const answer = (status, body) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  const path = `${request.method} ${request.url}`;
  if (path === "GET /healthz") return answer(200, {});
  if (path === "GET /dapr/subscribe") return answer(200, []);
  if (path === "GET /notes") return answer(200, { events, applied, gaps });
  if (!path.startsWith("POST /events/")) return answer(404, {});
  note(JSON.parse((await request.toArray()).join("")));
  return answer(200, { status: "SUCCESS" });
}).listen(8080);
process.on("SIGTERM", () => process.exit(0));
