/** Documents of GraphQL by their hash, on a running process: of clients, and of the file that it was started with. */

import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer, GraphqlBody } from "../kit/http-client.ts";
import { emptyDataDir, registerPerson, startApiProcess, type ApiProcess, type SignedIn } from "../kit/service.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
let ann: SignedIn;
let folder: string;

const TRUSTED = "query Me { me { username } }";
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const documents = async (name: string, manifest: object): Promise<string> => {
  const path = join(folder, name);
  await writeFile(path, JSON.stringify(manifest));
  return path;
};

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  folder = await emptyDataDir();
  const path = await documents("documents.json", { [sha256(TRUSTED)]: TRUSTED });
  api = stack.use(await startApiProcess({ database, env: { GRAPHQL_DOCUMENTS: path, GRAPHQL_INTROSPECTION: "off" } }));
  ann = await registerPerson(api.http, "ann");
}, 60_000);
afterAll(() => stack.disposeAsync());

const ask = (body: object, token: string | undefined = ann.accessToken): Promise<Answer<GraphqlBody>> =>
  api.http.send<GraphqlBody>("POST", "/graphql", { token, body });
const byHash = (text: string): object => ({ extensions: { persistedQuery: { version: 1, sha256Hash: sha256(text) } } });
const codeOf = ({ body }: Answer<GraphqlBody>): string | undefined => body.errors?.[0]?.extensions.code;

describe("a document by its hash", () => {
  it("is of the file or sent before, is asked for as whoever asks, and passes their door", async () => {
    expect((await ask(byHash(TRUSTED))).body).toEqual({ data: { me: { username: "ann" } } });
    expect(codeOf(await ask(byHash(TRUSTED), ""))).toMatch(/^token\./);
    const own = "query Mine { me { id } }";
    expect(codeOf(await ask(byHash(own)))).toBe("PERSISTED_QUERY_NOT_FOUND");
    expect((await ask({ query: own, ...byHash(own) })).body).toEqual({ data: { me: { id: ann.id } } });
    expect((await ask(byHash(own))).body).toEqual({ data: { me: { id: ann.id } } });
    const search = new URLSearchParams({ extensions: JSON.stringify((byHash(own) as { extensions: object }).extensions) }).toString();
    const headers = { "apollo-require-preflight": "1" };
    expect((await api.http.send("GET", `/graphql?${search}`, { token: ann.accessToken, headers })).body).toEqual({
      data: { me: { id: ann.id } },
    });
    expect(codeOf(await api.http.get<GraphqlBody>(`/graphql?${search}`, ann.accessToken))).toBe("graphql.csrf_refused");
  });

  it("shows no schema where that is turned off", async () => {
    expect(codeOf(await ask({ query: "{ _service { sdl } }" }))).toBe("graphql.schema_hidden");
    expect(codeOf(await ask({ query: "{ __schema { types { name } } }" }))).toBe("graphql.document_invalid");
    expect(api.errors()).toEqual([]);
  });

  it("that the service would not run keeps it from starting, and says which", async () => {
    const stale = "{ me { nickname } }";
    const env = { GRAPHQL_DOCUMENTS: await documents("stale.json", { [sha256(stale)]: stale }) };
    await expect(startApiProcess({ database, env })).rejects.toThrow(/would be refused: Cannot query field/);
  }, 90_000);
});
