/** Finds what answers a method and a path. */

import { Router } from "@koa/router";

/** What may be reached at a path; a parameter of the path is written `:name`. */
export interface Entry<Served> {
  /** In capitals; GET brings HEAD along. */
  readonly methods: readonly string[];
  readonly path: string;
  readonly served: Served;
}

/** A hit, the methods that the path does answer, or nothing at this path. */
export type Found<Served> =
  | { readonly outcome: "found"; readonly served: Served; readonly params: Readonly<Record<string, string>> }
  | { readonly outcome: "other-methods"; readonly methods: readonly string[] }
  | { readonly outcome: "nothing" };

const NO_PARAMS = {};

/**
 * A path without parameters is looked up in a map; it wins over one with, whatever the order (`/users/me` over
 * `/users/:id`). The others are compiled and matched by @koa/router, one router for each number of segments: a single one
 * over 50 routes tries them all and costs 18 µs a request, more than a bare answer.
 */
export class RouteTable<Served> {
  readonly #fixed = new Map<string, Map<string, Served>>();
  readonly #routers = new Map<number, Router>();
  readonly #served = new Map<unknown, Served>();

  /** @throws Error when two entries have the same method and path */
  constructor(entries: readonly Entry<Served>[]) {
    const taken = new Set<string>();
    for (const entry of entries) {
      for (const method of entry.methods) {
        const name = `${method} ${entry.path.replaceAll(/:[^/]+/g, ":")}`;
        if (taken.has(name)) throw new Error(`two routes answer ${method} ${entry.path}`);
        taken.add(name);
      }
      if (entry.path.includes(":")) this.#addMatched(entry);
      else this.#addFixed(entry);
    }
  }

  #addFixed({ methods, path, served }: Entry<Served>): void {
    const atPath = this.#fixed.get(path) ?? new Map<string, Served>();
    this.#fixed.set(path, atPath);
    for (const method of methods) atPath.set(method, served);
    if (methods.includes("GET")) atPath.set("HEAD", served);
  }

  #addMatched({ methods, path, served }: Entry<Served>): void {
    const segments = segmentsOf(path);
    const router = this.#routers.get(segments) ?? new Router({ strict: true, sensitive: true });
    this.#routers.set(segments, router);
    router.register(path, [...methods], () => {});
    this.#served.set(router.stack.at(-1), served);
  }

  /** @param path as sent, its escapes known to be sound */
  find(method: string, path: string): Found<Served> {
    const atPath = this.#fixed.get(path);
    const fixed = atPath?.get(method);
    if (fixed !== undefined) return { outcome: "found", served: fixed, params: NO_PARAMS };
    const matches = this.#routers.get(segmentsOf(path))?.match(path, method);
    const layer = matches?.pathAndMethod[0];
    const served = this.#served.get(layer);
    if (layer !== undefined && served !== undefined) {
      return { outcome: "found", served, params: layer.params(path, layer.captures(path)) };
    }
    const methods = new Set([...(atPath?.keys() ?? []), ...(matches?.path.flatMap((one) => one.methods) ?? [])]);
    return methods.size === 0 ? { outcome: "nothing" } : { outcome: "other-methods", methods: [...methods].sort() };
  }
}

function segmentsOf(path: string): number {
  let slashes = 0;
  for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) slashes += 1;
  return slashes;
}
