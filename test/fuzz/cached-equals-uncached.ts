/**
 * Random projects, built again and again while they are edited: with cache, in another state directory without, and in a third
 * that knows only what the first gave away (`--cache-to`, `--cache-from`). All must give the same image, byte for byte: the
 * same diff IDs and the same configuration.
 *
 *     node test/fuzz/main.ts --seconds 600 --seed 1
 */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build, type BuildOptions } from '../../src/index.ts';
import { readLayout } from '../support/base-image.ts';
import { dockerfileOf, mutate, randomProject, type Project } from './project.ts';
import { Random } from './random.ts';

export interface FuzzOptions {
  /** Everything goes below. */
  readonly dir: string;
  /** Named context for the base: `oci-layout://...`. */
  readonly base: string;
  readonly seed: number;
  /** Edits after the first build. */
  readonly edits: number;
  readonly log?: ((line: string) => void) | undefined;
}

/** Something before every time that files have, so that all times are clamped to it. */
const EPOCH = '1000000000';

/** One project and its edits. Throws with the Dockerfile and the seed when the images differ. */
export async function fuzzOnce(options: FuzzOptions): Promise<void> {
  const random = new Random(options.seed);
  let project = randomProject(random);
  for (let edit = 0; edit <= options.edits; edit++) {
    if (edit > 0) project = mutate(project, random);
    const context = writeProject(join(options.dir, `context-${options.seed}`), project);
    // Sometimes the other machine is a new one.
    if (random.chance(50)) rmSync(join(options.dir, 'elsewhere'), { recursive: true, force: true });
    const cache = join(options.dir, `cache-${options.seed}`);
    const mode = random.pick(['min', 'max']);
    const cached = await image(project, context, 'cached', options, {
      cacheTo: [`type=local,dest=${cache},mode=${mode}`],
    });
    const fresh = await image(project, context, 'fresh', options);
    const elsewhere = await image(project, context, 'elsewhere', options, { cacheFrom: [`type=local,src=${cache}`] });
    if (cached !== fresh || elsewhere !== fresh) {
      throw new Error(
        `seed ${options.seed}, edit ${edit}: with cache another image than without\n${dockerfileOf(project)}\ncached    ${cached}\nfresh     ${fresh}\nelsewhere ${elsewhere}`,
      );
    }
    options.log?.(`seed ${options.seed} edit ${edit}: ${cached.length} bytes of image config the same`);
  }
  for (const name of ['context', 'cache']) rmSync(join(options.dir, `${name}-${options.seed}`), { recursive: true });
}

function writeProject(context: string, project: Project): string {
  rmSync(context, { recursive: true, force: true });
  mkdirSync(context, { recursive: true });
  writeFileSync(join(context, 'Dockerfile'), dockerfileOf(project));
  for (const [path, { text, mode }] of project.files) {
    mkdirSync(dirname(join(context, path)), { recursive: true });
    writeFileSync(join(context, path), text);
    chmodSync(join(context, path), mode);
  }
  return context;
}

async function image(
  project: Project,
  context: string,
  which: 'cached' | 'fresh' | 'elsewhere',
  options: FuzzOptions,
  cache: Pick<BuildOptions, 'cacheTo' | 'cacheFrom'> = {},
): Promise<string> {
  const dest = join(options.dir, `layout-${which}`);
  const warnings: string[] = [];
  rmSync(dest, { recursive: true, force: true });
  await build({
    context,
    root: join(options.dir, which),
    noCache: which === 'fresh',
    buildContexts: { busybox: options.base },
    buildArgs: { ...project.args, SOURCE_DATE_EPOCH: EPOCH },
    outputs: [`type=oci,tar=false,dest=${dest}`],
    env: { PATH: process.env['PATH'] },
    ...cache,
    onEvent(event) {
      // A cache that cannot be written or read would only make the build slower.
      if (event.type === 'warning' && event.message.includes('cache')) warnings.push(event.message);
    },
  });
  if (warnings.length > 0) throw new Error(`seed ${options.seed}: ${warnings.join('; ')}`);
  return JSON.stringify(readLayout(dest).config);
}
