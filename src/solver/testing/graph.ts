import type { Op, Vertex, VertexInput, VertexMetadata } from '../../llb/index.ts';
import { definition, vertex } from '../../llb/index.ts';

/** Short ways to write graphs in tests. */
export { definition };

type ExecOp = Op & { kind: 'exec' };

export const out = (base: Vertex, index = 0): VertexInput => ({ vertex: base, index });

export function image(name: string, attrs: Record<string, string> = {}): Vertex {
  return vertex({ kind: 'source', identifier: `docker-image://docker.io/library/${name}`, attrs }, []);
}

export function git(url: string, attrs: Record<string, string> = {}): Vertex {
  return vertex({ kind: 'source', identifier: `git://${url}`, attrs }, []);
}

export function context(name = 'context'): Vertex {
  return vertex({ kind: 'source', identifier: `local://${name}`, attrs: {} }, [], {
    metadata: { name: '[internal] load build context' },
  });
}

export const execMeta: ExecOp['meta'] = {
  args: ['true'],
  env: ['PATH=/bin'],
  cwd: '/',
  user: '',
  extraHosts: [],
  hostname: '',
  ulimits: [],
  cgroupParent: '',
  removeMountStubsRecursive: true,
  validExitCodes: [],
};

export interface RunOptions {
  /** Mounted read-only at /from, with what is below `selector`. */
  readonly from?: VertexInput | undefined;
  readonly selector?: string | undefined;
  readonly metadata?: VertexMetadata | undefined;
  readonly env?: readonly string[] | undefined;
}

export function run(base: VertexInput | undefined, command: string, options: RunOptions = {}): Vertex {
  const inputs = [base, options.from].filter((input) => input !== undefined);
  return vertex(
    {
      kind: 'exec',
      meta: { ...execMeta, args: command.split(' '), env: options.env ?? execMeta.env },
      network: 'sandbox',
      security: 'sandbox',
      secretEnv: [],
      cdiDevices: [],
      mounts: [
        { input: base === undefined ? -1 : 0, dest: '/', output: 0, readonly: false, type: { kind: 'bind' } },
        ...(options.from === undefined
          ? []
          : [
              {
                input: base === undefined ? 0 : 1,
                selector: options.selector ?? '/',
                dest: '/from',
                output: -1,
                readonly: true,
                type: { kind: 'bind' } as const,
              },
            ]),
      ],
    },
    inputs,
    { platform: { os: 'linux', architecture: 'amd64' }, metadata: { name: `RUN ${command}`, ...options.metadata } },
  );
}

export const copyAction = {
  kind: 'copy',
  src: '/',
  dest: '/',
  mode: -1,
  followSymlink: true,
  dirCopyContents: true,
  attemptUnpackDockerCompatibility: false,
  createDestPath: true,
  allowWildcard: true,
  allowEmptyWildcard: true,
  timestamp: -1n,
  includePatterns: [],
  excludePatterns: [],
  alwaysReplaceExistingDestPaths: false,
  requiredPaths: [],
} as const;

export function copy(base: VertexInput | undefined, from: VertexInput, src: string, dest: string): Vertex {
  const inputs = [base, from].filter((input) => input !== undefined);
  return vertex(
    {
      kind: 'file',
      actions: [
        {
          input: base === undefined ? -1 : 0,
          secondaryInput: base === undefined ? 0 : 1,
          output: 0,
          action: { ...copyAction, src, dest },
        },
      ],
    },
    inputs,
    { metadata: { name: `COPY ${src} ${dest}` } },
  );
}

export function write(base: VertexInput | undefined, path: string, data: string): Vertex {
  return vertex(
    {
      kind: 'file',
      actions: [
        {
          input: base === undefined ? -1 : 0,
          secondaryInput: -1,
          output: 0,
          action: { kind: 'mkfile', path, mode: 0o644, data: Buffer.from(data), timestamp: -1n },
        },
      ],
    },
    base === undefined ? [] : [base],
    { metadata: { name: `WRITE ${path}` } },
  );
}

export function merge(...inputs: VertexInput[]): Vertex {
  return vertex({ kind: 'merge', inputs: inputs.map((_, i) => i) }, inputs);
}
