/** Where cases are built: their contexts, the servers they fetch from, what came out in a form that can be kept. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { imageContents, type ImageContent } from '../support/image-content.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import type { LanguageCase, Outcome } from './cases/types.ts';
import { startSites, type Sites } from './sites.ts';

/** Of every file in a context: of another day than the test's, so that it can be compared. */
const CONTEXT_TIME = '2001-02-03T04:05:06Z';

/** A case, ready to be built. */
export interface Prepared {
  /** Of `docker build` and of `slipway build`: all but output and engine. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export class Place {
  readonly bench: Bench;
  readonly #registry: TestRegistry;
  readonly #sites: Sites;
  readonly #base: ImageContent;

  constructor(bench: Bench, registry: TestRegistry, sites: Sites, base: ImageContent) {
    this.bench = bench;
    this.#registry = registry;
    this.#sites = sites;
    this.#base = base;
  }

  get baseImage(): string {
    return `${this.#registry.host}/library/busybox`;
  }

  prepare({ dockerfile, files = {}, prepare, args = [], env = {}, context }: LanguageCase, name: string): Prepared {
    const dir = join(this.bench.dir, name);
    // A name of its own: a daemon keeps what it was sent by the directory's name, and compares sizes and times only.
    const root = this.bench.context(`${name}/${name}`, {});
    for (const [path, text] of Object.entries(files)) this.#write(root, join(root, path), text);
    this.#write(root, join(dir, 'Dockerfile.beside'), dockerfile);
    const own = files['Dockerfile'] === undefined && args.includes('-f');
    if (!own) this.#write(root, join(root, 'Dockerfile'), files['Dockerfile'] ?? dockerfile);
    if (prepare !== undefined) execFileSync('sh', ['-ec', prepare], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
    execFileSync('find', [dir, '-exec', 'touch', '-h', '-d', CONTEXT_TIME, '{}', '+']);
    const words = [...args, context ?? root].map((word) => this.#fill(root, word));
    return { args: words, env };
  }

  #fill(root: string, text: string): string {
    return text
      .replaceAll('@base', this.baseImage)
      .replaceAll('@www', this.#sites.www)
      .replaceAll('@git', this.#sites.git)
      .replaceAll('@ctx', root)
      .replaceAll('@dir', join(root, '..'));
  }

  #write(root: string, path: string, text: string): void {
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, this.#fill(root, text));
  }

  /** What is in an OCI layout directory above the base, with nothing of this machine or run in it. */
  async outcome(layout: string, { timeless }: LanguageCase): Promise<Outcome> {
    const [image, ...others] = await imageContents(layout);
    if (image === undefined || others.length > 0) throw new Error(`${layout}: not one image`);
    const base = image.history.some((line) => line === 'layer test') ? this.#base : EMPTY;
    const files: Record<string, string> = {};
    for (const path of Object.keys(base.files)) if (!(path in image.files)) files[path] = '-';
    for (const [path, line] of Object.entries(image.files))
      if (base.files[path] !== line) files[path] = timeless === true ? line.replace(TIME, '') : line;
    const text = JSON.stringify({
      files: Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))),
      config: image.config,
      // Today's daemons write it in an older form.
      history: image.history.slice(base.history.length).map((line) => line.replace(/(?<= HEALTHCHECK ).*/, '...')),
      layers: image.layers - base.layers,
    });
    return JSON.parse(
      text
        .replaceAll(this.baseImage, '@base')
        .replaceAll(this.#sites.www, '@www')
        .replaceAll(this.#sites.git, '@git')
        .replaceAll(this.bench.dir, '@dir'),
    ) as Outcome;
  }

  async close(): Promise<void> {
    await this.#sites.stop();
    await this.#registry.stop();
    this.bench.dispose();
  }
}

const TIME = / \d{4}-\d{2}-\d{2}T[\d:.]+Z$/;
const EMPTY: Pick<ImageContent, 'files' | 'history' | 'layers'> = { files: {}, history: [], layers: 0 };

export async function openPlace(): Promise<Place> {
  const bench = new Bench();
  try {
    const layout = busyboxLayout(bench.dir);
    const registry = await startRegistry(join(bench.dir, 'registry'));
    registry.push(layout, 'busybox:latest');
    const [base] = await imageContents(layout.slice(0, layout.lastIndexOf(':')));
    if (base === undefined) throw new Error('no base image');
    return new Place(bench, registry, await startSites(bench.dir), base);
  } catch (error) {
    bench.dispose();
    throw error;
  }
}
