/** Archives that no honest tool writes, entry by entry. */

export interface RawEntry {
  readonly name: string;
  /** ustar type flag: 0 file, 1 hard link, 2 symbolic link, 3 char device, 5 directory. */
  readonly type?: '0' | '1' | '2' | '3' | '4' | '5' | '6';
  readonly link?: string;
  readonly data?: string | Uint8Array;
  readonly mode?: number;
}

const BLOCK = 512;

/** A ustar archive with these entries as they are: names are not looked at. */
export function rawTar(entries: readonly RawEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const data = Buffer.from(entry.data ?? '');
    const body = Buffer.alloc(Math.ceil(data.length / BLOCK) * BLOCK);
    data.copy(body);
    return [header(entry, data.length), body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header({ name, type = '0', link = '', mode = 0o644 }: RawEntry, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0, 100, 'utf8');
  block.write(mode.toString(8).padStart(7, '0'), 100);
  block.write('0000000', 108);
  block.write('0000000', 116);
  block.write(size.toString(8).padStart(11, '0'), 124);
  block.write('14524651000', 136);
  block.write(' '.repeat(8), 148);
  block.write(type, 156);
  block.write(link, 157, 100, 'utf8');
  block.write('ustar\u000000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
