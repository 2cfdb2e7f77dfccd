import { describe, expect, it } from "@jest/globals";
import { networkOf } from "./address.ts";

describe("the network of an address", () => {
  it.each([
    ["192.0.2.17", "192.0.2.0/24"],
    ["192.0.3.17", "192.0.3.0/24"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["unknown", "unknown"],
    ["", ""],
  ])("of %s is %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
