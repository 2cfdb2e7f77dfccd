/**
 * Documents that may be asked for by their SHA-256 alone: those of a manifest, and those that clients have sent before, by the protocol of
 * Apollo's automatic persisted queries (https://www.apollographql.com/docs/apollo-server/performance/apq).
 */

import { LRUCache } from "lru-cache";
import type { ApolloServerOptions, BaseContext } from "@apollo/server";
import { Problem } from "#src/kernel/problem";
import { documentUntrusted } from "./graphql.errors.ts";
import { STORED_CHARACTERS, storedSize } from "./limits.ts";

/** By their SHA-256, in lower-case hexadecimal. */
export type Manifest = ReadonlyMap<string, string>;

/** Documents that are known before anybody asks. */
export interface TrustedDocuments {
  readonly manifest: Manifest;
  /** Whether nothing else is run. */
  readonly only: boolean;
}

type Cache = NonNullable<Exclude<ApolloServerOptions<BaseContext>["persistedQueries"], false>>["cache"];

/** Of a request: the document, its hash, or both. */
interface Asked {
  readonly query: string | undefined;
  readonly hash: string | undefined;
}

export interface Documents {
  /**
   * The text that this request means. Undefined for a hash that nobody has sent with its document yet, which Apollo answers as the protocol has it.
   * @throws Problem `graphql.document_untrusted` where only a manifest is run and this is not in it
   */
  readonly textOf: (request: Asked) => string | undefined;
  /** Where Apollo looks for what a hash means. It puts a document there when it has fitted the schema and the cost limit, under a hash that it has worked out. */
  readonly cache: NonNullable<Cache>;
}

/** In memory, and in this process: a client that finds its hash unknown at another one sends the document there too. */
export function createDocuments(trusted: TrustedDocuments = { manifest: new Map(), only: false }): Documents {
  const { manifest, only } = trusted;
  const sent = new LRUCache<string, string>({ maxSize: STORED_CHARACTERS, sizeCalculation: storedSize });
  const texts = new Set(manifest.values());
  const find = (hash: string): string | undefined => manifest.get(hash) ?? sent.get(hash);
  return {
    textOf: ({ query, hash }) => {
      const text = query ?? (hash === undefined ? undefined : find(hash));
      if (only && (text === undefined || !texts.has(text))) throw new Problem(documentUntrusted);
      return text;
    },
    cache: {
      get: (key) => Promise.resolve(find(hashOf(key))),
      set: (key, text) => {
        sent.set(hashOf(key), text);
        return Promise.resolve();
      },
      delete: (key) => Promise.resolve(sent.delete(hashOf(key))),
    },
  };
}

const HASH_CHARACTERS = 64;

/** Apollo puts a prefix before it. */
function hashOf(key: string): string {
  return key.slice(-HASH_CHARACTERS);
}
