import { describe, expect, it } from "@jest/globals";
import { isLoopback } from "./smtp-socket.ts";

describe("where a password may go in plain text", () => {
  it.each(["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"])("is this machine: %s", (address) => {
    expect(isLoopback(address)).toBe(true);
  });

  it.each(["10.0.0.1", "192.0.2.1", "::", "0.0.0.0", "fe80::1", "::ffff:10.0.0.1", "2001:db8::127.0.0.1", "", undefined])(
    "is not elsewhere: %s",
    (address) => {
      expect(isLoopback(address)).toBe(false);
    },
  );
});
