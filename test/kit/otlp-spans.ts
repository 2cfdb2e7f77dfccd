/** Reads spans out of an OTLP export request: protobuf, by hand, the fields that tests look at (opentelemetry/proto/trace/v1/trace.proto). */

/** One span as it was sent. Ids in hex; `parentSpanId` is empty for the first span of a trace. */
export interface CollectedSpan {
  readonly service: string;
  readonly resource: Readonly<Record<string, AttributeValue>>;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: "unspecified" | "internal" | "server" | "client" | "producer" | "consumer";
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly isError: boolean;
  /** Of the status; ours are empty. */
  readonly statusMessage: string;
  /** Nanoseconds since 1970. */
  readonly start: bigint;
  readonly end: bigint;
  readonly events: number;
}

export type AttributeValue = string | number | boolean | undefined;

const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"] as const;

/** The spans of an ExportTraceServiceRequest. @throws RangeError when it is no protobuf */
export function readTraces(request: Buffer): CollectedSpan[] {
  return all(fieldsOf(request), 1).flatMap((resourceSpans) => {
    const fields = fieldsOf(resourceSpans);
    const resource = attributesOf(all(fields, 1).flatMap((one) => all(fieldsOf(one), 1)));
    return all(fields, 2).flatMap((scopeSpans) => all(fieldsOf(scopeSpans), 2).map((span) => readSpan(span, resource)));
  });
}

function readSpan(bytes: Buffer, resource: CollectedSpan["resource"]): CollectedSpan {
  const fields = fieldsOf(bytes);
  const status = fieldsOf(all(fields, 15)[0] ?? Buffer.alloc(0));
  return {
    service: String(resource["service.name"]),
    resource,
    traceId: hex(all(fields, 1)),
    spanId: hex(all(fields, 2)),
    parentSpanId: hex(all(fields, 4)),
    name: text(all(fields, 5)),
    kind: KINDS[Number(number(fields, 6))] ?? "unspecified",
    attributes: attributesOf(all(fields, 9)),
    isError: number(status, 3) === 2n,
    statusMessage: text(all(status, 2)),
    start: number(fields, 7),
    end: number(fields, 8),
    events: all(fields, 11).length,
  };
}

function attributesOf(pairs: readonly Buffer[]): Record<string, AttributeValue> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const fields = fieldsOf(pair);
      return [text(all(fields, 1)), valueOf(fieldsOf(all(fields, 2)[0] ?? Buffer.alloc(0)))];
    }),
  );
}

function valueOf(fields: readonly Field[]): AttributeValue {
  const [field] = fields;
  if (field === undefined) return undefined;
  if (field.number === 1) return text(all(fields, 1));
  if (field.number === 2) return field.value === 1n;
  if (field.number === 3) return Number(BigInt.asIntN(64, field.value as bigint));
  if (field.number === 4) {
    const bits = Buffer.alloc(8);
    bits.writeBigUInt64LE(field.value as bigint);
    return bits.readDoubleLE();
  }
  return undefined;
}

interface Field {
  readonly number: number;
  readonly value: bigint | Buffer;
}

/** Every field of one message. A length-delimited one is bytes, every other a number. */
function fieldsOf(message: Buffer): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < message.length;) {
    const [tag, afterTag] = varint(message, at);
    const [value, next] = valueAt(message, afterTag, Number(tag & 7n));
    fields.push({ number: Number(tag >> 3n), value });
    at = next;
  }
  return fields;
}

function valueAt(message: Buffer, at: number, wireType: number): [bigint | Buffer, number] {
  if (wireType === 0) return varint(message, at);
  if (wireType === 1) return [message.readBigUInt64LE(at), at + 8];
  if (wireType === 5) return [BigInt(message.readUInt32LE(at)), at + 4];
  if (wireType !== 2) throw new RangeError(`wire type ${wireType}`);
  const [length, from] = varint(message, at);
  const end = from + Number(length);
  if (end > message.length) throw new RangeError("cut short");
  return [message.subarray(from, end), end];
}

function varint(message: Buffer, from: number): [bigint, number] {
  let value = 0n;
  for (let at = from, shift = 0n; ; at += 1, shift += 7n) {
    const byte = message.readUInt8(at);
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return [value, at + 1];
  }
}

function all(fields: readonly Field[], wanted: number): Buffer[] {
  return fields.flatMap(({ number: found, value }) => (found === wanted && Buffer.isBuffer(value) ? [value] : []));
}

function number(fields: readonly Field[], wanted: number): bigint {
  const value = fields.find((field) => field.number === wanted)?.value;
  return typeof value === "bigint" ? value : 0n;
}

const text = ([bytes]: readonly Buffer[]): string => bytes?.toString("utf8") ?? "";
const hex = ([bytes]: readonly Buffer[]): string => bytes?.toString("hex") ?? "";
