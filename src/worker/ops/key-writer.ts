import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { Digest } from '../../contracts/index.ts';
import { encodePath } from '../../sys/path.ts';

const BUFFER_BYTES = 64 << 10;

/**
 * Hashes fields one after another, each with its length before it, so that no two lists of fields look the same
 * (CVE-2024-24557 was a key without that). Small fields are gathered, as 100,000 entries have a million of them.
 */
export class KeyWriter {
  readonly #hash: Hash = createHash('sha256');
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;

  /** @param version Names what is hashed and how; changes whenever either does. */
  constructor(version: string) {
    this.text(version);
  }

  /** A name, path or link text: its bytes. */
  text(value: string): void {
    const encoded = encodePath(value);
    if (typeof encoded !== 'string') {
      this.bytes(encoded);
      return;
    }
    // A UTF-16 unit takes three bytes at most.
    if (this.#used + 4 + encoded.length * 3 > BUFFER_BYTES) this.#flush();
    if (4 + encoded.length * 3 > BUFFER_BYTES) {
      this.bytes(Buffer.from(encoded));
      return;
    }
    const length = this.#buffer.write(encoded, this.#used + 4);
    this.#buffer.writeUInt32LE(length, this.#used);
    this.#used += 4 + length;
  }

  bytes(value: Uint8Array): void {
    if (this.#used + 4 > BUFFER_BYTES) this.#flush();
    this.#used = this.#buffer.writeUInt32LE(value.byteLength, this.#used);
    this.#flush();
    this.#hash.update(value);
  }

  /** A whole number below 2^53. */
  number(value: number): void {
    if (this.#used + 9 > BUFFER_BYTES) this.#flush();
    this.#buffer[this.#used] = 8;
    this.#buffer.writeDoubleLE(value, this.#used + 1);
    this.#used += 9;
  }

  /** Does what `write` does with this writer, a few short fields. @returns The bytes, for {@link KeyWriter.again}. */
  captured(write: () => void): Uint8Array {
    this.#flush();
    write();
    return Uint8Array.from(this.#buffer.subarray(0, this.#used));
  }

  /** Writes what was captured before. */
  again(captured: Uint8Array): void {
    if (this.#used + captured.length > BUFFER_BYTES) this.#flush();
    this.#buffer.set(captured, this.#used);
    this.#used += captured.length;
  }

  #flush(): void {
    this.#hash.update(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  digest(): Digest {
    this.#flush();
    return `sha256:${this.#hash.digest('hex')}`;
  }
}
