/**
 * The floor of a read: node:http, ES256 verified with a KeyObject, one named statement on raw pg, its row as JSON.
 * `floor-read.ts <file>`: the file holds a `FloorRead` as JSON.
 */

import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import jwt from "jsonwebtoken";
import pg from "pg";
import { answerCalls } from "../kit/rpc.ts";
import { filled, type Statement } from "../kit/statement.ts";

/** Everything the floor needs to know. */
export interface FloorRead {
  readonly port: number;
  readonly databaseUrl: string;
  readonly connections: number;
  readonly publicKeyPem: string;
  /** Its value `viewer` stands for the token's subject, and `path` for what follows the last slash of the path. */
  readonly statement: Statement;
}

answerCalls({});
const floor = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as FloorRead;
const key = createPublicKey(floor.publicKeyPem);
const pool = new pg.Pool({ connectionString: floor.databaseUrl, max: floor.connections });

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const token = request.headers.authorization?.slice("Bearer ".length) ?? "";
  const claims = jwt.verify(token, key, { algorithms: ["ES256"], issuer: "http://localhost:3002", audience: "user-service" });
  const path = request.url ?? "/";
  const names = { viewer: String(claims.sub), path: path.slice(path.lastIndexOf("/") + 1) };
  const { rows } = await pool.query({ name: "floor", text: floor.statement.text, values: filled(floor.statement, names) });
  const body = JSON.stringify(rows[0]);
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

createServer((request, response) => {
  if (request.url === "/health") {
    response.end("ok");
    return;
  }
  serve(request, response).catch((error: unknown) => {
    console.error(error);
    response.writeHead(500, { "Content-Length": 0 }).end();
  });
}).listen(floor.port, "127.0.0.1", 1024);
