import type { Digest } from '../contracts/index.ts';
import { isStale } from './access.ts';
import type { Database, Row } from './database.ts';
import type { ImageRow, Store } from './types.ts';

const SAVE = `
INSERT OR REPLACE INTO image (name, digest, media_type, created, origin, used)
VALUES (:name, :digest, :mediaType, :created, :origin, :used)`;
const TOUCH = 'UPDATE image SET used = :used WHERE name = :name';

/** The image part of the store. Names are rare: each write is a batch of its own. */
export function createImages(db: Database): Pick<Store, 'images' | 'image' | 'saveImage' | 'removeImage'> {
  function image(name: string): ImageRow | undefined {
    const row = db.get('SELECT * FROM image WHERE name = ?', name);
    if (row === undefined) return undefined;
    if (isStale(row['used'])) db.writeLater(TOUCH, { name, used: Date.now() });
    return imageOf(row);
  }

  return {
    images: () => db.all('SELECT * FROM image ORDER BY created DESC, name').map(imageOf),
    image,
    saveImage(row) {
      const { name, digest, mediaType, created, origin } = row;
      const known = image(name);
      // A build that found everything names what has the name: a name is as old as what it means.
      if (known?.digest === digest && known.mediaType === mediaType && known.origin === origin) return;
      db.write(SAVE, { name, digest, mediaType, created, origin, used: Date.now() });
      db.flush();
    },
    removeImage(name) {
      if (db.get('SELECT name FROM image WHERE name = ?', name) === undefined) return false;
      db.write('DELETE FROM image WHERE name = :name', { name });
      // What it needed is cache now, and counts as such (gc-bound.ts).
      db.write(`DELETE FROM meta WHERE key = 'image-bytes'`, {});
      db.flush();
      return true;
    },
  };
}

function imageOf(row: Row): ImageRow {
  return {
    name: String(row['name']),
    digest: String(row['digest']) as Digest,
    mediaType: String(row['media_type']),
    created: Number(row['created']),
    origin: row['origin'] === 'pull' ? 'pull' : 'build',
  };
}
