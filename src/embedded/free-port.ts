/** A TCP port that nobody listens on just now. */

import { createServer } from "node:net";

/** Whether 127.0.0.1:`port` could be listened on a moment ago. */
export async function isFree(port: number): Promise<boolean> {
  return (await tryPort(port)) === port;
}

/** Some port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const port = await tryPort(0);
  if (port === undefined) throw new Error("No TCP port of 127.0.0.1 is free");
  return port;
}

function tryPort(wanted: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(wanted, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : undefined));
    });
  });
}
