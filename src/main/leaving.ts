/**
 * When a process is told to end. Listened for before anything else is loaded: the first process of a container ignores a signal that it
 * does not handle, and loading takes seconds where cores are few. So only Node's own is imported here.
 */

import { constants } from "node:os";
import { setImmediate } from "node:timers/promises";

/** Says what to do when told, with the signal's name. Before that, and where nobody says it, the process just ends: it has nothing to finish. */
export type Leaving = (leave: (signal: string) => void) => void;

/** Of a process that a signal ended, as shells tell it. */
const BY_SIGNAL = 128;

/** Listens from now on. Called once, and first. */
export function listenForTheEnd(): Leaving {
  let leave = (_signal: string, number: number): void => process.exit(BY_SIGNAL + number);
  const { SIGTERM, SIGINT, SIGHUP } = constants.signals;
  for (const [signal, number] of Object.entries({ SIGTERM, SIGINT, SIGHUP })) process.on(signal, () => leave(signal, number));
  return (then) => {
    leave = then;
  };
}

/** What was loaded, once signals that came meanwhile are heard: Node loads in one turn of the event loop, and hears them in between. */
export async function heardAfter<Module>(loading: Promise<Module>): Promise<Module> {
  const module = await loading;
  await setImmediate();
  return module;
}
