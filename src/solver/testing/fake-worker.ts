import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Digest, FileTree, Layer, LayerId, Snapshot, WorkContext, Worker } from '../../contracts/index.ts';
import { BuildError } from '../../contracts/index.ts';
import type { Vertex } from '../../llb/index.ts';
import { vertexName } from '../names.ts';

type Files = ReadonlyMap<string, string>;

/** What outlives a process: layers, whose bytes may be lost, the build context, and what a registry holds. */
export class FakeDisk {
  readonly layers = new Map<LayerId, Files>();
  readonly bytes = new Set<LayerId>();
  readonly context = new Map<string, string>();
  readonly images = new Map<string, string>();
  #next = 1;

  add(files: Files): LayerId {
    const id = (this.#next++).toString(36);
    this.layers.set(id, files);
    this.bytes.add(id);
    return id;
  }
}

/**
 * Ops that compute strings: a command writes a digest of all that it can see, so that a result made from anything but its
 * inputs is noticed. `same` as a command's first word writes the command only, `random` something else every time, `fail`
 * fails, `wait` lasts until it is stopped.
 */
export class FakeWorker implements Worker {
  readonly disk: FakeDisk;
  /** Names of the vertices that ran, sources aside. */
  readonly ran: string[] = [];
  readonly asked: string[] = [];
  running = 0;
  mostRunning = 0;
  /** Called while a vertex runs. */
  during: (vertex: Vertex, context: WorkContext) => Promise<void> = async () => setImmediate();
  static #random = 0;

  constructor(disk: FakeDisk) {
    this.disk = disk;
  }

  async sourceKey(vertex: Vertex): Promise<string | undefined> {
    if (vertex.op.kind !== 'source') throw new Error('not a source');
    const { identifier } = vertex.op;
    if (identifier.startsWith('local://')) return undefined;
    return this.disk.images.get(identifier) ?? identifier;
  }

  async contentKey(vertex: Vertex, index: number, input: Snapshot): Promise<Digest | undefined> {
    this.asked.push(`${vertexName(vertex)} ${index}`);
    const { op } = vertex;
    const paths: string[] = [];
    if (op.kind === 'exec') {
      for (const mount of op.mounts) {
        if (mount.input !== index) continue;
        if (mount.dest === '/') return undefined;
        paths.push(mount.selector ?? '/');
      }
    } else if (op.kind === 'file') {
      for (const { input: base, secondaryInput, action } of op.actions) {
        if (base === index) return undefined;
        if (secondaryInput === index && action.kind === 'copy') paths.push(action.src);
      }
    } else {
      return undefined;
    }
    // Reading what cannot be read fails as it would on real files.
    if (paths.length > 0 && input.files !== noFiles) await input.files.walk('');
    const files = this.read(input);
    return digest(
      JSON.stringify(
        paths.map((path) => {
          const selected = select(files, path);
          if (selected.length === 0) {
            throw new BuildError({ code: 'source-missing', message: `${path} is not there` });
          }
          return selected;
        }),
      ),
    );
  }

  async run(vertex: Vertex, inputs: readonly Snapshot[], context: WorkContext): Promise<readonly Snapshot[]> {
    for (const input of inputs) {
      for (const { id } of input.layers) {
        if (!this.disk.bytes.has(id)) throw new Error(`${vertexName(vertex)} reads bytes that are gone`);
      }
    }
    if (vertex.op.kind !== 'source') this.ran.push(vertexName(vertex));
    this.running++;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    try {
      await this.during(vertex, context);
      context.signal.throwIfAborted();
      return await this.#result(vertex, inputs, context);
    } finally {
      this.running--;
    }
  }

  async open(layers: readonly LayerId[]): Promise<{ snapshot: Snapshot; virtual: boolean } | undefined> {
    if (layers.some((id) => !this.disk.layers.has(id))) return undefined;
    return { snapshot: this.#snapshot(layers), virtual: layers.some((id) => !this.disk.bytes.has(id)) };
  }

  read(snapshot: Snapshot): Files {
    if (snapshot.inPlace) return this.disk.context;
    return new Map(snapshot.layers.flatMap(({ id }) => [...(this.disk.layers.get(id) ?? [])]));
  }

  async #result(vertex: Vertex, inputs: readonly Snapshot[], context: WorkContext): Promise<readonly Snapshot[]> {
    const { op } = vertex;
    switch (op.kind) {
      case 'source': {
        if (op.identifier.startsWith('local://')) return [{ layers: [], files: noFiles, inPlace: true }];
        const content = this.disk.images.get(op.identifier) ?? op.identifier;
        const id = `i${digest(content).slice(7, 15)}`;
        this.disk.layers.set(id, new Map([['/etc/base', content]]));
        this.disk.bytes.add(id);
        return [this.#snapshot([id])];
      }
      case 'exec': {
        const [word = ''] = op.meta.args;
        if (word === 'fail') {
          throw new BuildError({ code: 'run-failed', message: `${op.meta.args.join(' ')} failed`, exitCode: 1 });
        }
        if (word === 'wait') await stopped(context.signal);
        const root = op.mounts.find(({ dest }) => dest === '/')?.input ?? -1;
        const seen = op.mounts.map(({ input, selector }) => {
          const snapshot = inputs[input];
          return snapshot === undefined ? [] : select(this.read(snapshot), selector ?? '/');
        });
        const sees = word === 'same' ? [] : word === 'random' ? [FakeWorker.#random++] : seen;
        const file = digest(JSON.stringify([op.meta.args, op.meta.env, sees]));
        return [this.#on(inputs[root], new Map([[`/out/${op.meta.args.join('-')}`, file]]))];
      }
      case 'file': {
        const results: Snapshot[] = [];
        for (const { input, secondaryInput, action } of op.actions) {
          const base = input < inputs.length ? inputs[input] : results[input - inputs.length];
          const from = inputs[secondaryInput];
          if (action.kind === 'mkfile') {
            results.push(this.#on(base, new Map([[action.path, Buffer.from(action.data).toString()]])));
          } else if (action.kind === 'copy' && from !== undefined) {
            const files = select(this.read(from), action.src).map(
              ([name, content]) => [`${action.dest}${name}`, content] as const,
            );
            results.push(this.#on(base, new Map(files)));
          }
        }
        return results.slice(-1);
      }
      case 'merge':
        return [this.#snapshot(op.inputs.flatMap((i) => inputs[i]?.layers.map(({ id }) => id) ?? []))];
      case 'diff':
      case 'build':
        throw new Error(`no ${op.kind} here`);
    }
  }

  #on(base: Snapshot | undefined, files: Files): Snapshot {
    return this.#snapshot([...(base?.layers.map(({ id }) => id) ?? []), this.disk.add(files)]);
  }

  #snapshot(ids: readonly LayerId[]): Snapshot {
    return { layers: ids.map((id) => ({ id }) as Layer), files: noFiles, inPlace: false };
  }
}

const noFiles = {} as FileTree;

/** Files at or below `path`, named relative to its parent's end; sorted. */
function select(files: Files, path: string): (readonly [string, string])[] {
  const prefix = path.endsWith('/') ? path : `${path}/`;
  return [...files]
    .filter(([name]) => name === path || name.startsWith(prefix))
    .map(([name, content]) => [name.slice(path === '/' ? 0 : path.lastIndexOf('/')), content] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function digest(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

function stopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
  });
}
