/** What an address tells of where somebody is, as far as counting and recognising them goes. Addresses as `Client` has them. */

/** One household or host is one key: an IPv6 network hands out a /64 to each, so counting single addresses would count nothing. */
export function addressKey(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: zeros }, () => "0"), ...right];
  return `${groups.slice(0, 4).join(":")}::/64`;
}

/** The network that an address is of: the /24 of an IPv4 one, the /64 of an IPv6 one; what is no address is its own. */
export function networkOf(address: string): string {
  if (address.includes(":")) return addressKey(address);
  const octets = address.split(".");
  return octets.length === 4 ? `${octets.slice(0, 3).join(".")}.0/24` : address;
}
