/** Sets of extended attributes in an encoded tree: u16 count; for each u16 length of the name, u32 length of the value, name (UTF-8), value. */
import type { BuildError } from '../contracts/index.ts';

export function encodeXattrs(xattrs: ReadonlyMap<string, Uint8Array>, into: Uint8Array[]): void {
  const head = Buffer.alloc(2);
  head.writeUInt16LE(xattrs.size);
  into.push(head);
  for (const [name, value] of xattrs) {
    const nameBytes = Buffer.from(name, 'utf8');
    const lengths = Buffer.alloc(6);
    lengths.writeUInt16LE(nameBytes.length, 0);
    lengths.writeUInt32LE(value.length, 2);
    into.push(lengths, nameBytes, value);
  }
}

/** @returns A function that reads one set after the other. */
export function readXattrSets(bytes: Buffer, damaged: () => BuildError): () => ReadonlyMap<string, Uint8Array> {
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw damaged();
    return bytes.subarray(at, (at += length));
  };
  return () => {
    const count = take(2).readUInt16LE();
    const found = new Map<string, Uint8Array>();
    for (let i = 0; i < count; i++) {
      const lengths = take(6);
      const name = take(lengths.readUInt16LE(0)).toString('utf8');
      found.set(name, new Uint8Array(take(lengths.readUInt32LE(2))));
    }
    return found;
  };
}
