import { BuildError } from '../../contracts/index.ts';

/** What `slipway build -` got. */
export type StdinContext =
  | { readonly kind: 'dockerfile'; readonly data: Uint8Array }
  | { readonly kind: 'tar'; readonly stream: AsyncIterable<Uint8Array> };

/** Enough to see a tar header. Bytes. */
const HEAD = 512;

/** Tells a tar (plain, gzip, bzip2, xz, zstd) from a Dockerfile by its first bytes, as `docker build -` does. */
export async function sniffStdin(stdin: AsyncIterable<Uint8Array>): Promise<StdinContext> {
  const iterator = stdin[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < HEAD) {
    const next = await iterator.next();
    if (next.done === true) break;
    const chunk = typeof next.value === 'string' ? Buffer.from(next.value) : next.value;
    chunks.push(chunk);
    length += chunk.length;
  }
  const head = Buffer.concat(chunks);
  const rest = (async function* () {
    yield head;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  })();
  if (isArchive(head)) return { kind: 'tar', stream: rest };
  return { kind: 'dockerfile', data: await bytesOf(rest) };
}

/** By the first bytes; at least {@link HEAD} of them where there are as many. */
export function isArchive(head: Buffer): boolean {
  const starts = (...bytes: number[]) => bytes.every((byte, i) => head[i] === byte);
  return (
    head.subarray(257, 262).toString('latin1') === 'ustar' ||
    starts(0x1f, 0x8b) ||
    starts(0x42, 0x5a, 0x68) ||
    starts(0xfd, 0x37, 0x7a, 0x58, 0x5a) ||
    starts(0x28, 0xb5, 0x2f, 0xfd)
  );
}

/** The whole of a small stream. Errors: `dockerfile` when it is empty. */
export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  const data = Buffer.concat(chunks);
  if (data.length === 0)
    throw new BuildError({
      code: 'dockerfile',
      message: 'standard input is empty: no Dockerfile, no context',
      hint: 'as in: slipway build - < Dockerfile',
    });
  return data;
}
