import type { BuildEventSink, Digest } from '../contracts/index.ts';

/** Between two reports of one download, milliseconds. */
const INTERVAL = 100;

/** Reports what happens to one layer's blob, as BuildKit names it. */
export interface LayerProgress {
  downloading(work: (onProgress: (bytes: number) => void) => Promise<void>): Promise<void>;
  reading(work: () => Promise<void>): Promise<void>;
  extracting(work: () => Promise<void>): Promise<void>;
}

export const SILENT: LayerProgress = {
  downloading: (work) => work(() => undefined),
  reading: (work) => work(),
  extracting: (work) => work(),
};

/** @param vertex The source vertex that brought the layer. */
export function reportLayer(events: BuildEventSink, vertex: Digest, digest: Digest, size: number): LayerProgress {
  async function reported(
    id: string,
    name: string,
    total: number,
    work: (onProgress: (bytes: number) => void) => Promise<void>,
  ): Promise<void> {
    const started = Date.now();
    let last = 0;
    const report = (current: number, completed?: number): void => {
      last = Date.now();
      events({ type: 'status', vertex, id, name, current, total, timestamp: last, started, completed });
    };
    report(0);
    await work((bytes) => {
      if (Date.now() - last >= INTERVAL) report(bytes);
    });
    report(total, Date.now());
  }
  return {
    downloading: (work) => reported(digest, 'downloading', size, work),
    reading: (work) => reported(`reading ${digest}`, 'reading', 0, () => work()),
    extracting: (work) => reported(`extracting ${digest}`, 'extracting', 0, () => work()),
  };
}
