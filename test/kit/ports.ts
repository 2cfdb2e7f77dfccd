/** Ports for the servers of tests: outside of what the kernel hands out to clients. */

import { isFree } from "#src/embedded/free-port";

/** Linux gives clients 32768 and up, others 49152 and up. */
const FIRST = 18_000;
const PAST = 32_000;
const TRIES = 100;

const given = new Set<number>();

/**
 * A port of 127.0.0.1 for a server that goes away and comes back on the same one. A port of the kernel's own range could be a
 * client's by then; and a client that keeps trying such a port while nobody listens ends up connected to itself and holds it.
 */
export async function serverPort(): Promise<number> {
  for (let left = TRIES; left > 0; left -= 1) {
    const port = FIRST + Math.floor(Math.random() * (PAST - FIRST));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`No free TCP port between ${FIRST} and ${PAST} in ${TRIES} tries`);
}

/** `count` different ones. */
export async function serverPorts<Name extends string>(...names: readonly Name[]): Promise<Record<Name, number>> {
  const ports = await Promise.all(names.map(async (name) => [name, await serverPort()] as const));
  return Object.fromEntries(ports) as Record<Name, number>;
}
