/** Bytes kept: the last lines of a step, also where they are long. */
const KEPT = 16 * 1024;

/** Keeps the end of an output. */
export function lastLines(count: number): { add(data: Uint8Array): void; lines(): readonly string[] } {
  let chunks: Uint8Array[] = [];
  let size = 0;
  const joined = (): Buffer => {
    const bytes = Buffer.concat(chunks).subarray(-KEPT);
    chunks = [bytes];
    size = bytes.length;
    return bytes;
  };
  return {
    add(data) {
      chunks.push(data);
      size += data.length;
      if (size > 4 * KEPT) joined();
    },
    lines() {
      const lines = joined().toString('utf8').split('\n');
      if (lines.at(-1) === '') lines.pop();
      return lines.slice(-count);
    },
  };
}
