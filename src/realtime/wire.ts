/** What clients must know to connect; the server is opened with the same figures. Heartbeat: a dead peer is known within 45 s. */
export const wire = {
  path: "/socket.io/",
  transports: ["polling", "websocket"] as ("polling" | "websocket")[],
  pingIntervalMs: 25_000,
  pingTimeoutMs: 20_000,
  maxMessageBytes: 64 * 1024,
} as const;
