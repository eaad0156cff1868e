import { TarTokenizer } from './tokenizer.ts';
import type { TarOptions } from './tokenizer.ts';
import type { TarHeader } from './types.ts';

export interface TarEntry {
  readonly header: TarHeader;
  /**
   * The content. To be read before the next entry is asked for; what is left of it is passed over then. Pieces are valid
   * until the next one is asked for.
   */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * The entries of a tar stream, one after the other. Names are as the archive has them: whoever writes files takes
 * `treePathOf` (`layer-path.ts`) and opens confined.
 *
 * @throws BuildError `hostile` (or `options.code`) when the archive is damaged.
 */
export async function* readTar(source: AsyncIterable<Uint8Array>, options: TarOptions = {}): AsyncGenerator<TarEntry> {
  const tokenizer = new TarTokenizer(options);
  const chunks = source[Symbol.asyncIterator]();
  let bodyOpen = false;

  /** The next token, fetching chunks as they are needed; undefined at the end of the archive. */
  const next = async (): Promise<ReturnType<TarTokenizer['next']>> => {
    for (;;) {
      const token = tokenizer.next();
      if (token !== undefined || tokenizer.ended) return token;
      const chunk = await chunks.next();
      if (chunk.done === true) {
        tokenizer.finish();
        return undefined;
      }
      tokenizer.feed(chunk.value);
    }
  };
  async function* body(): AsyncGenerator<Uint8Array> {
    while (bodyOpen) {
      const token = await next();
      if (token?.kind === 'data') yield token.bytes;
      else bodyOpen = false;
    }
  }

  try {
    for (;;) {
      while (bodyOpen) bodyOpen = (await next())?.kind === 'data';
      const token = await next();
      if (token === undefined) return;
      if (token.kind !== 'entry') continue;
      bodyOpen = true;
      yield { header: token.header, body: body() };
    }
  } finally {
    await chunks.return?.();
  }
}
