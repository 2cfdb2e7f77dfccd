/** The logger: winston behind the kernel's `Log`. One JSON line an entry; on a terminal, lines for people. */

import { styleText } from "node:util";
import type { Writable } from "node:stream";
import { createLogger, format, transports } from "winston";
import { systemClock, type Clock } from "#src/kernel/clock";
import type { Log, LogFields } from "#src/kernel/log";
import { redactFields, redactText } from "./redact.ts";

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  /** On every line, e.g. which process wrote it. */
  readonly fields?: LogFields;
  readonly clock?: Clock;
  /** Where lines go; standard output when left out. */
  readonly stream?: Writable;
  /** Lines for people; when left out, exactly when standard output is a terminal. */
  readonly pretty?: boolean;
}

/** The members of a line that are not fields. */
const OWN_NAMES = ["time", "level", "message"];
/** Where winston looks for the finished line. */
const LINE = Symbol.for("message");

/** Makes the logger of a process. Fields are copied and cleared of secrets before anything is written. */
export function createLog(options: LogOptions): Log {
  const { clock = systemClock, stream = process.stdout, fields: always = {}, pretty = process.stdout.isTTY } = options;
  const line = format((entry) => {
    const { level, message, fields } = entry as unknown as { readonly level: Level; readonly message: string; readonly fields: LogFields };
    const written: Line = { time: clock.now(), level, message: redactText(message), fields: redactFields({ ...always, ...fields }) };
    return { ...entry, [LINE]: pretty ? prettyLine(written) : jsonLine(written) };
  });
  const logger = createLogger({ level: options.level, format: line(), transports: [new transports.Stream({ stream })] });
  const at =
    (level: Level) =>
    (fields: LogFields, message: string): void => {
      if (logger.isLevelEnabled(level)) logger.log({ level, message, fields });
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

type Level = LogOptions["level"];

interface Line {
  readonly time: Date;
  readonly level: Level;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

function jsonLine({ time, level, message, fields }: Line): string {
  const renamed = Object.entries(fields).map(([name, value]) => [OWN_NAMES.includes(name) ? `${name}_` : name, value] as const);
  return JSON.stringify({ time: time.toISOString(), level, message, ...Object.fromEntries(renamed) });
}

const COLOURS = { debug: "gray", info: "green", warn: "yellow", error: "red" } as const;

function prettyLine({ time, level, message, fields }: Line): string {
  const { error, ...rest } = fields;
  const parts = Object.entries(rest).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${shown(value)}`]));
  const stack = typeof error === "object" && error !== null && "stack" in error ? `\n${shown(error.stack)}` : "";
  const flat = error === undefined || stack !== "" ? [] : [`error=${shown(error)}`];
  const head = `${time.toISOString().slice(11, 19)} ${styleText(COLOURS[level], level.padEnd(5))} ${message}`;
  return `${head}${[...parts, ...flat].map((part) => styleText("gray", ` ${part}`)).join("")}${stack}`;
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
