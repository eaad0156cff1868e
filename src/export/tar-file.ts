import { createReadStream } from 'node:fs';
import { encodeTarHeader, paddingOf, TAR_END, type TarHeader } from '../image/index.ts';
import type { Destination } from './destination.ts';

const PLAIN: Omit<TarHeader, 'name' | 'type' | 'size' | 'mode'> = {
  uid: 0,
  gid: 0,
  mtime: 0,
  mtimeNsec: 0,
  target: '',
  major: 0,
  minor: 0,
};

/** A tar of documents and blobs: nothing in it but names and bytes, so that equal content is an equal archive. */
export class TarFile {
  readonly #destination: Destination;

  constructor(destination: Destination) {
    this.#destination = destination;
  }

  async directory(name: string): Promise<void> {
    await this.#destination.write(
      encodeTarHeader({ ...PLAIN, name: `${name}/`, type: 'directory', size: 0, mode: 0o755 }),
    );
  }

  async data(name: string, data: Uint8Array): Promise<void> {
    await this.#header(name, data.length);
    await this.#destination.write(data);
    await this.#pad(data.length);
  }

  async file(name: string, path: string, size: number): Promise<void> {
    await this.#header(name, size);
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }))
      await this.#destination.write(chunk as Buffer);
    await this.#pad(size);
  }

  async link(name: string, target: string): Promise<void> {
    await this.#destination.write(encodeTarHeader({ ...PLAIN, name, type: 'symlink', target, size: 0, mode: 0o777 }));
  }

  async end(): Promise<void> {
    await this.#destination.write(TAR_END);
  }

  async #header(name: string, size: number): Promise<void> {
    await this.#destination.write(encodeTarHeader({ ...PLAIN, name, type: 'file', size, mode: 0o644 }));
  }

  async #pad(size: number): Promise<void> {
    const padding = paddingOf(size);
    if (padding > 0) await this.#destination.write(new Uint8Array(padding));
  }
}
