// The order of the rooms (ARCHITECTURE.md): a room may import what its row names, `contracts` and itself, nothing else.
const rooms = {
  cli: [], // and src/index.ts
  api: [
    'report',
    'buildkit',
    'frontend',
    'dockerfile',
    'solver',
    'executor',
    'worker',
    'source',
    'export',
    'registry',
    'image',
    'progress',
    'store',
    'pattern',
    'llb',
    'sys',
  ],
  report: ['progress', 'image', 'llb'],
  buildkit: ['llb', 'progress', 'source', 'export', 'registry', 'pattern', 'sys'],
  frontend: ['dockerfile', 'llb', 'pattern'],
  dockerfile: ['pattern'],
  solver: ['llb', 'progress', 'store'],
  executor: ['worker', 'store', 'sys'],
  worker: ['source', 'image', 'store', 'llb', 'sys', 'pattern'],
  source: ['registry', 'image', 'store', 'sys', 'pattern', 'progress'],
  export: ['registry', 'image', 'store', 'sys', 'progress'],
  registry: ['image', 'store', 'progress'],
  image: ['store', 'sys'],
  progress: ['store'],
  store: ['sys'],
  contracts: ['llb'],
  pattern: [],
  llb: [],
  sys: [],
};
const notTest = { pathNot: '\\.test\\.ts$' };
module.exports = {
  forbidden: [
    ...Object.entries(rooms).map(([room, may]) => ({
      name: `order-of-rooms-${room}`,
      comment: `${room}/ may import ${['contracts', ...may].join(', ')}`,
      severity: 'error',
      from: { path: `^src/${room}/`, ...notTest },
      to: {
        path: '^src/',
        pathNot: [
          `^src/(${[room, 'contracts', ...may].join('|')})/`,
          ...(room === 'cli' ? ['^src/index\\.ts$'] : []),
          ...(room === 'frontend' ? ['^src/image/(types|reference|platform)\\.ts$'] : []),
        ],
      },
    })),
    {
      name: 'one-door',
      comment: 'a room is entered through its index.ts (types and references of `image` aside)',
      severity: 'error',
      from: { path: '^src/([^/]+)/', ...notTest },
      to: {
        path: '^src/([^/]+)/',
        pathNot: [
          '^src/$1/',
          '^src/[^/]+/index\\.ts$',
          '^src/image/(types|reference|platform)\\.ts$',
          '^src/contracts/',
          '^src/sys/[^/]+\\.ts$',
          // The executor's side: its child loads no registry, no source, no database.
          '^src/worker/(kernel|host)\\.ts$',
        ],
      },
    },
    {
      name: 'pure-rooms',
      severity: 'error',
      comment: 'no I/O; hashing is none, as digests name vertices',
      from: { path: '^src/(frontend|dockerfile|contracts|pattern|llb)/', ...notTest },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'] },
  },
};
