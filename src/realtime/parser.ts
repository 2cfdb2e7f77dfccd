/** Socket.IO's parser, without binary: no event of ours takes any, and attachments would cost memory before anything is checked. */

import { Decoder, Encoder, PacketType, protocol } from "socket.io-parser";

/**
 * Takes a binary packet for the text packet it would be with its placeholders left in, which no payload's schema accepts,
 * and drops the attachments as they come (compare socket.io-parser CVE-2026-33151: attachments without end). So the
 * sender gets an answer and nothing waits in memory.
 */
class TextDecoder extends Decoder {
  override add(packet: unknown): void {
    if (typeof packet === "string") super.add(withoutAttachments(packet));
  }
}

function withoutAttachments(packet: string): string {
  const type = Number(packet.charAt(0)) as PacketType;
  if (type !== PacketType.BINARY_EVENT && type !== PacketType.BINARY_ACK) return packet;
  const count = /^\d{1,9}-/.exec(packet.slice(1, 12));
  if (count === null) throw new Error("illegal attachments");
  return `${type === PacketType.BINARY_EVENT ? PacketType.EVENT : PacketType.ACK}${packet.slice(1 + count[0].length)}`;
}

export const textParser = { protocol, PacketType, Encoder, Decoder: TextDecoder };
