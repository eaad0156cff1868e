/** gRPC status codes (grpc/grpc, doc/statuscodes.md), as far as they are told apart here. */
export const STATUS = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** How a call ended that did not end well. Never leaves the room: `errors.ts` makes a BuildError of it. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  readonly code: number;
  /** `grpc-status-details-bin`: a google.rpc.Status. */
  readonly details: Uint8Array | undefined;

  constructor(code: number, message: string, details?: Uint8Array, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }
}

/** `grpc-message` is percent-encoded UTF-8 (PROTOCOL-HTTP2.md). */
export function decodeGrpcMessage(text: string): string {
  const bytes: number[] = [];
  const raw = Buffer.from(text, 'latin1');
  for (let i = 0; i < raw.length; i++) {
    const byte = raw[i] ?? 0;
    const hex = byte === 0x25 ? raw.toString('latin1', i + 1, i + 3) : '';
    if (/^[0-9a-fA-F]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else bytes.push(byte);
  }
  return Buffer.from(bytes).toString('utf8');
}

export function encodeGrpcMessage(text: string): string {
  let out = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    out +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

/** Of a stream that was reset (HTTP/2 error code) before its trailers came. */
export function statusOfReset(http2Code: number): number {
  // NO_ERROR after half a message, INTERNAL and the like: something broke on the way.
  if (http2Code === 7) return STATUS.unavailable; // REFUSED_STREAM
  if (http2Code === 8) return STATUS.cancelled; // CANCEL
  if (http2Code === 11) return STATUS.resourceExhausted; // ENHANCE_YOUR_CALM
  return STATUS.unavailable;
}
