import { expect } from "@jest/globals";
import { engineSocket, upgradeByHand } from "../../kit/engine-socket.ts";
import { ConnectRefused } from "../../kit/socket-client.ts";
import { until } from "../../kit/until.ts";
import { rowsOf, type Row } from "../row.ts";
import type { Target } from "../target.ts";

type Event = readonly [name: string, event: readonly [string, ...unknown[]], code: string];

const EVENTS: readonly Event[] = [
  ["nobody knows", ["no:such", {}], "event.unknown"],
  ["with a name of Object's", ["__proto__", {}], "event.unknown"],
  ["called constructor", ["constructor", {}], "event.unknown"],
  ["without a payload", ["token:refresh"], "input.invalid"],
  ["of a wrong type", ["token:refresh", { accessToken: 7 }], "input.invalid"],
  ["with an unknown field", ["token:refresh", { accessToken: "x", userId: "y" }], "input.invalid"],
  ["with two payloads", ["token:refresh", {}, {}], "input.invalid"],
  ["with null", ["token:refresh", null], "input.invalid"],
  ["with an array", ["token:refresh", []], "input.invalid"],
  ["with NUL", ["token:refresh", { accessToken: "a\u0000" }], "input.invalid"],
  ["with another's token", ["token:refresh", { accessToken: "BYSTANDER" }], "token.of_another_session"],
];

const FRAMES: readonly (readonly [name: string, frame: string, advisory?: Row["advisory"]])[] = [
  ["an event named error", `42["error",{"a":1}]`, "CVE-2024-38355"],
  ["an event named disconnect", `42["disconnect"]`],
  ["an event named connection", `42["connection",{}]`],
  ["an event named newListener", `42["newListener",1]`],
  ["an event without a name", `42[]`],
  ["an event whose name is an object", `42[{"toString":1}]`],
  ["no JSON", `42{{{{`],
  ["an acknowledgement of nothing", `4399999["x"]`],
  ["a placeholder without attachment", `451-["token:refresh",{"_placeholder":true,"num":0}]`, "CVE-2026-33151"],
  ["a billion attachments", `451000000000-["token:refresh",{"_placeholder":true,"num":0}]`, "CVE-2026-33151"],
  ["an attachment number that is none", `451-["token:refresh",{"_placeholder":true,"num":"__proto__"}]`],
  ["a connect to another namespace", `40/admin,{"token":"x"}`],
  ["an error packet", `44{"message":"x"}`],
  ["a packet of an unknown type", `49["x"]`],
  ["an engine packet of an unknown type", `9`],
  ["an upgrade to nothing", `5`],
  ["an empty frame", ``],
  ["70 KB", `42["token:refresh",{"accessToken":"${"x".repeat(70_000)}"}]`],
];

/** Refused with a code; the connection stays. */
async function event({ api, bystander, newcomer }: Target, [, [name, ...payload], code]: Event): Promise<void> {
  const { accessToken } = await newcomer();
  using socket = await api.socket(accessToken);
  const sent = payload.map((one) => JSON.parse(JSON.stringify(one).replace("BYSTANDER", bystander.accessToken)) as unknown);
  expect(await socket.ask(name, ...sent)).toMatchObject({ ok: false, error: { code } });
  expect(await socket.ask("token:refresh", { accessToken })).toMatchObject({ ok: true });
}

/** What comes after it is answered, or the connection is closed; never silence. */
async function frame({ api, newcomer }: Target, text: string): Promise<void> {
  const socket = await engineSocket(api.port, (await newcomer()).accessToken);
  try {
    socket.send(text);
    socket.send(new Uint8Array([1, 2, 3]));
    if (socket.readyState === WebSocket.OPEN) socket.send(`427["token:refresh",{"accessToken":"x"}]`);
    const isOver = (): boolean => socket.texts.some((one) => one.startsWith("437")) || socket.readyState === WebSocket.CLOSED;
    await until(isOver, { withinMs: 10_000, what: "an answer or the end" });
  } finally {
    socket.close();
    await until(() => socket.readyState === WebSocket.CLOSED);
  }
}

export const socketRows: readonly Row[] = [
  ...EVENTS.map((one): Row => ({ area: "socket", name: `an event ${one[0]}`, attack: (target) => event(target, one) })),
  ...FRAMES.map(([name, text, advisory]): Row => ({
    area: "socket",
    name: `by hand: ${name}`,
    ...(advisory === undefined ? {} : { advisory }),
    attack: (target) => frame(target, text),
  })),
  ...rowsOf("socket", [
    [
      "a flood of events",
      async ({ api, newcomer }) => {
        const { accessToken } = await newcomer();
        using socket = await api.socket(accessToken);
        const acks = await Promise.all(Array.from({ length: 300 }, () => socket.ask("token:refresh", { accessToken })));
        expect(new Set(acks.map((ack) => (ack.ok ? "ok" : ack.error.code)))).toEqual(new Set(["ok", "event.queue_full"]));
      },
    ],
    [
      "without a token, with nonsense, with an object",
      async ({ api }) => {
        for (const [token, code] of [
          [undefined, "token.missing"],
          ["nonsense", "token.invalid"],
          [{ toString: "x" } as unknown as string, "token.missing"],
        ] as const) {
          const refused = (await api.socket(token).catch((error: unknown) => error)) as ConnectRefused;
          expect(refused).toBeInstanceOf(ConnectRefused);
          expect(refused.data?.code).toBe(code);
        }
      },
    ],
    [
      "a handshake with 10,000 headers before its own",
      async ({ api }) => {
        for (const count of [2_500, 10_000]) {
          using connection = await upgradeByHand(api.port, "x:\r\n".repeat(count));
          connection.socket.end();
          expect(await connection.closed).not.toMatch(/^HTTP\/1.1 101/);
        }
      },
      "CVE-2024-37890",
    ],
    [
      "a message in 20,000 fragments of a byte",
      async ({ api }) => {
        using connection = await upgradeByHand(api.port);
        // Masked frames: text first, then continuations without end.
        const first = Buffer.from([0x01, 0x81, 0, 0, 0, 0, 0x34]);
        const next = Buffer.from([0x00, 0x81, 0, 0, 0, 0, 0x78]);
        connection.socket.write(Buffer.concat([first, ...Array.from({ length: 20_000 }, () => next)]));
        await connection.closed;
      },
    ],
  ]),
];
