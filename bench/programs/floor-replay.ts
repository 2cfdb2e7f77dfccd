/**
 * The floor of a sign-in: node:http, the cryptography that nobody can leave out, and the service's own statements on raw pg,
 * named, in one transaction and one round trip. `floor-replay.ts <file>`: the file holds a `FloorReplay` as JSON.
 */

import { createHmac, createPrivateKey, generateKeyPairSync, randomBytes, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import jwt from "jsonwebtoken";
import pg from "pg";
import { replayed, type RecordedStatement } from "../kit/recording.ts";
import { answerCalls } from "../kit/rpc.ts";

/** Everything the floor needs to know. */
export interface FloorReplay {
  readonly port: number;
  readonly databaseUrl: string;
  readonly connections: number;
  /** It signs an access token. */
  readonly privateKeyPem: string;
  /** What is computed of the proof: one HMAC of a time step, or one ES256 signature checked. */
  readonly proof: "totp" | "passkey";
  /** Their names stand for the fields of a request's body. */
  readonly statements: readonly RecordedStatement[];
}

answerCalls({});
const floor = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as FloorReplay;
const signingKey = createPrivateKey(floor.privateKeyPem);
const pool = new pg.Pool({ connectionString: floor.databaseUrl, max: floor.connections, pipeline: true });
const prove = floor.proof === "totp" ? proveTotp() : provePasskey();

function proveTotp(): () => void {
  const secret = randomBytes(20);
  const counter = Buffer.alloc(8);
  return () => void createHmac("sha1", secret).update(counter).digest();
}

function provePasskey(): () => void {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signed = randomBytes(69);
  const signature = sign("sha256", signed, privateKey);
  return () => {
    if (!verify("sha256", signed, publicKey, signature)) throw new Error("the signature is not right");
  };
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const names = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Readonly<Record<string, string>>;
  prove();
  await transact(names);
  const claims = { sub: names["user"], sid: names["session"] };
  const accessToken = jwt.sign(claims, signingKey, { algorithm: "ES256", expiresIn: 900, issuer: "floor", audience: "floor" });
  const body = JSON.stringify({ accessToken });
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

async function transact(names: Readonly<Record<string, string>>): Promise<void> {
  const client = await pool.connect();
  try {
    const sent = floor.statements.map(({ text, values }, place) =>
      client.query({ name: `floor${place}`, text, values: values.map((value) => replayed(value, names)) }),
    );
    const [, , results] = await Promise.all([
      client.query("begin"),
      client.query("set local synchronous_commit = on"),
      Promise.all(sent),
      client.query("commit"),
    ]);
    for (const [place, { rowCount }] of results.entries()) {
      const statement = floor.statements[place];
      if (rowCount !== statement?.rowCount) throw new Error(`${rowCount} rows, not ${statement?.rowCount}: ${statement?.text}`);
    }
  } finally {
    client.release();
  }
}

createServer((request, response) => {
  if (request.url === "/health") {
    response.end("ok");
    return;
  }
  serve(request, response).catch((error: unknown) => {
    console.error(error);
    const body = String(error);
    response.writeHead(500, { "Content-Length": Buffer.byteLength(body) }).end(body);
  });
}).listen(floor.port, "127.0.0.1", 1024);
