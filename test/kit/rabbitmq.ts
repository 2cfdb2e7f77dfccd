/** A RabbitMQ of a test's own: node name, ports, folders and epmd; killed, frozen and started again as the test likes. */

import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Connection } from "rabbitmq-client";
import { serverPorts } from "./ports.ts";
import type { RunningProgram } from "./process.ts";
import { startProgram } from "./process.ts";
import { findTool } from "./find-tool.ts";
import { runFolder } from "./run-folder.ts";

/** A running RabbitMQ on 127.0.0.1. Its data lives until disposal, on the same ports. */
export interface Rabbit extends AsyncDisposable {
  /** With user and password: `amqp://guest:guest@127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  /** Of the Erlang machine itself, not of a shell around it. */
  readonly pid: number;
  /** What it has said since the last start. */
  readonly output: string;
  /** How many messages wait in a queue that was declared. @throws when there is no such queue */
  readonly waitingIn: (queue: string) => Promise<number>;
  /** As `kill -9`; returns when it is gone. */
  readonly kill: () => Promise<void>;
  /** It stops in its tracks (SIGSTOP), its connections stay open. */
  readonly freeze: () => void;
  readonly wake: () => void;
  /** An orderly end. */
  readonly stop: () => Promise<void>;
  /** Starts it again with the same data and ports; one that still runs is killed first. Returns when clients can connect. */
  readonly restart: () => Promise<void>;
}

/** What a broker has from its start on. */
export interface RabbitOptions {
  /** Of RabbitMQ's definitions file: `exchanges`, `queues`, `bindings`, `policies` of the virtual host "/". The user is there already. */
  readonly definitions?: object;
}

/** On two shared cores the broker takes 4 to 10 s. */
const STARTS_WITHIN_MS = 60_000;
const STARTED = /Server startup complete/;
const USER = "guest";

/** Starts the `rabbitmq-server` at `path` (see `describeWith("rabbitmq-server", …)`) and returns when clients can connect. */
export async function startRabbit(path: string, options: RabbitOptions = {}): Promise<Rabbit> {
  const folder = await mkdtemp(join(runFolder(), "rabbitmq-"));
  const ports = await serverPorts("amqp", "distribution", "epmd");
  await writeConfiguration(folder, ports.amqp, options.definitions);
  // Erlang would start one by itself, and that would outlive everything.
  const epmd = await startEpmd(ports.epmd);
  const start = async (): Promise<RunningProgram> => {
    // With input allowed the script becomes the Erlang machine instead of waiting for it: signals reach the right process.
    const started = await startProgram({ command: path, args: ["-noinput"], env: environment(folder, ports), cwd: folder });
    try {
      await started.line(STARTED, STARTS_WITHIN_MS);
    } catch (error) {
      await end(started);
      throw error;
    }
    return started;
  };
  const dispose = async (running: RunningProgram | undefined): Promise<void> => {
    if (running !== undefined) await end(running);
    await end(epmd);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  let program = await start().catch(async (error: unknown) => {
    await dispose(undefined);
    throw error;
  });
  const url = `amqp://${USER}:${USER}@127.0.0.1:${ports.amqp}`;
  return {
    url,
    waitingIn: (queue) => waitingIn(url, queue),
    port: ports.amqp,
    get pid() {
      return program.pid;
    },
    get output() {
      return program.output;
    },
    kill: () => end(program),
    freeze: () => program.signal("SIGSTOP"),
    wake: () => program.signal("SIGCONT"),
    stop: async () => void (await program.stop()),
    restart: async () => {
      await end(program);
      program = await start();
    },
    [Symbol.asyncDispose]: () => dispose(program),
  };
}

async function waitingIn(url: string, queue: string): Promise<number> {
  const connection = new Connection(url);
  connection.on("error", () => {});
  try {
    return (await connection.queueDeclare({ queue, passive: true })).messageCount;
  } finally {
    await connection.close();
  }
}

async function end(program: RunningProgram): Promise<void> {
  program.signal("SIGKILL");
  await program.exited;
}

async function startEpmd(port: number): Promise<RunningProgram> {
  const command = findTool("epmd");
  if (command === undefined) throw new Error("RabbitMQ is here but epmd, which comes with its Erlang, is not on PATH");
  const args = ["-port", String(port), "-address", "127.0.0.1"];
  return startProgram({ command, args });
}

function environment(folder: string, ports: Readonly<Record<"amqp" | "distribution" | "epmd", number>>): Record<string, string> {
  return {
    HOME: folder,
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    ERL_CRASH_DUMP: "/dev/null",
    RABBITMQ_NODENAME: `test${ports.amqp}@localhost`,
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_BASE: folder,
    RABBITMQ_MNESIA_BASE: join(folder, "data"),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_LOGS: "-",
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
    // Files of the machine's own RabbitMQ must not be read.
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, "advanced.config"),
    RABBITMQ_CONF_ENV_FILE: join(folder, "rabbitmq-env.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "enabled_plugins"),
    RABBITMQ_ALLOW_INPUT: "1",
    // Idle threads of Erlang spin before they sleep: on two cores that is time taken from what is tested.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
  };
}

async function writeConfiguration(folder: string, port: number, definitions: object | undefined): Promise<void> {
  await mkdir(join(folder, "data"));
  const lines = [`listeners.tcp.1 = 127.0.0.1:${port}`, "disk_free_limit.absolute = 1MB", "log.console.level = info"];
  if (definitions !== undefined) {
    const file = join(folder, "definitions.json");
    await writeFile(file, JSON.stringify({ ...brokerAccount(), ...definitions }));
    lines.push(`load_definitions = ${file}`);
  }
  await writeFile(join(folder, "rabbitmq.conf"), `${lines.join("\n")}\n`);
}

/** `guest` and the virtual host: where definitions are given, RabbitMQ makes neither by itself. */
export function brokerAccount(): object {
  const salt = randomBytes(4);
  const hash = createHash("sha256").update(salt).update(USER).digest();
  return {
    users: [
      {
        name: USER,
        password_hash: Buffer.concat([salt, hash]).toString("base64"),
        hashing_algorithm: "rabbit_password_hashing_sha256",
        tags: ["administrator"],
      },
    ],
    vhosts: [{ name: "/" }],
    permissions: [{ user: USER, vhost: "/", configure: ".*", write: ".*", read: ".*" }],
  };
}
