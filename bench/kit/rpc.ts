/** Calls between the bench and the processes it starts, over Node's IPC channel. */

import type { ChildProcess } from "node:child_process";

type Handler = (argument: never) => unknown;

interface Call {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: string };

/** In the started process: answers calls by these handlers, many at once, and ends with the channel. */
export function answerCalls(handlers: Readonly<Record<string, Handler>>, onEnd: () => Promise<void> | void = () => {}): void {
  process.on("message", (message: unknown) => {
    const { id, method, argument } = message as Call;
    // A bench that has gone meanwhile is no error of ours: we have our own end to see to.
    const reply = (answer: Reply): void => void process.send?.(answer, () => {});
    Promise.resolve()
      .then(() => handlers[method]?.(argument as never))
      .then(
        (value) => reply({ id, value }),
        (error: unknown) => reply({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      );
  });
  const end = (): void => void Promise.resolve(onEnd()).finally(() => process.exit(0));
  // The bench may have gone while we were being loaded.
  if (process.connected) process.once("disconnect", end);
  else end();
}

/** In the bench: calls a started process. */
export class Caller {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }>();
  #last = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (message: unknown) => {
      const reply = message as Reply;
      const waiter = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ("error" in reply) waiter?.reject(new Error(reply.error));
      else waiter?.resolve(reply.value);
    });
    child.once("exit", (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${child.spawnargs.join(" ")} ended (${code ?? signal ?? "?"})`));
      this.#waiting.clear();
    });
  }

  /** @throws Error with the other side's stack when it failed, or when it ended */
  call<Result>(method: string, argument: unknown = null): Promise<Result> {
    this.#last += 1;
    const id = this.#last;
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#child.send({ id, method, argument } satisfies Call, (error) => {
        if (error !== null) reject(error);
      });
    });
  }
}
