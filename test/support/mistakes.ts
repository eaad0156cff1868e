/** What users do wrong, and what they must be told whichever engine builds. `busybox` is a build context. */
export interface Mistake {
  readonly name: string;
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly args?: readonly string[];
  readonly code?: number;
  /** All of these are said. */
  readonly says: readonly (string | RegExp)[];
  /** What a daemon does not tell: said by the embedded engine only. */
  readonly saysHere?: readonly (string | RegExp)[];
}

export const MISTAKES: readonly Mistake[] = [
  {
    name: 'no Dockerfile',
    files: { 'Dockerfile.prod': 'FROM scratch\n' },
    says: ['no Dockerfile', 'Dockerfile.prod', '-f'],
  },
  { name: 'empty Dockerfile', files: { Dockerfile: '\n# only a comment\n' }, says: [/no instructions/i] },
  {
    name: 'unknown instruction',
    files: { Dockerfile: 'FROM scratch\nCPOY a b\n' },
    says: ['Dockerfile:2', 'CPOY', 'COPY'],
  },
  {
    name: 'unterminated heredoc',
    files: { Dockerfile: 'FROM busybox\nRUN <<EOF\necho\n' },
    says: ['Dockerfile:2', 'EOF', /heredoc/i],
  },
  {
    name: 'unknown target',
    files: { Dockerfile: 'FROM scratch AS build\nLABEL a=b\n' },
    args: ['--target', 'biuld'],
    says: ['biuld', 'build'],
  },
  {
    name: 'later stage',
    files: { Dockerfile: 'FROM busybox\nCOPY --from=late /a /a\nFROM busybox AS late\nRUN true\n' },
    args: ['--target', '0'],
    says: ['Dockerfile:2', 'late'],
  },
  {
    name: 'a stage that copies from itself',
    files: { Dockerfile: 'FROM busybox AS me\nCOPY --from=me /a /b\n' },
    says: ['Dockerfile:2', 'me'],
  },
  {
    name: 'the forgotten AS',
    files: { Dockerfile: 'FROM golang:latest\nRUN go build\nFROM alpine:latest\nCOPY --from=build /a .\n' },
    says: ['Dockerfile:4', 'build', 'golang:latest', 'AS build', '--from=0'],
  },
  {
    name: 'missing source',
    files: { Dockerfile: 'FROM scratch\nCOPY nothing /\n' },
    says: ['Dockerfile:2', 'nothing'],
  },
  {
    name: 'another spelling',
    files: { Dockerfile: 'FROM scratch\nCOPY readme.md /\n', 'README.md': '' },
    says: ['README.md'],
  },
  {
    name: 'a source that another stage has',
    files: {
      Dockerfile:
        'FROM busybox AS build\nRUN echo > /made\nFROM busybox AS other\nRUN true\nFROM busybox\nCOPY --from=build /made /a\nCOPY --from=other /made /made\n',
    },
    says: ['Dockerfile:7', 'stage other'],
    saysHere: ['stage build has it', 'COPY --from=build /made'],
  },
  {
    name: 'parents of nothing in a stage',
    files: {
      Dockerfile: 'FROM busybox AS build\nRUN mkdir -p /made\nFROM scratch\nCOPY --from=build --parents /made/it /\n',
    },
    says: ['Dockerfile:4', '"/made/it"', 'stage build'],
  },
  {
    name: 'excluded source',
    files: {
      Dockerfile: 'FROM scratch\nCOPY secret.txt /\n',
      'secret.txt': '',
      '.dockerignore': '# not for images\nsecret.*\n',
    },
    says: ['secret.txt', '.dockerignore', /line 2|:2/],
  },
  {
    name: 'bad pattern',
    files: { Dockerfile: 'FROM scratch\nCOPY . /\n', '.dockerignore': 'a\n[\n' },
    says: ['.dockerignore:2'],
  },
  {
    name: 'failing RUN',
    files: { Dockerfile: 'FROM busybox\nRUN echo before; echo reason >&2; exit 7\n' },
    says: ['Dockerfile:2', 'exit code: 7', 'reason', 'RUN echo before'],
  },
  {
    name: 'unknown flag',
    files: { Dockerfile: 'FROM scratch\n' },
    args: ['--taget', 'x'],
    code: 2,
    says: ['--taget', '--target'],
  },
  {
    name: 'bad tag',
    files: { Dockerfile: 'FROM scratch\nLABEL a=b\n' },
    args: ['-t', 'Not/A Name'],
    code: 2,
    says: ['Not/A Name'],
  },
  {
    name: 'bad output',
    files: { Dockerfile: 'FROM scratch\nLABEL a=b\n' },
    args: ['-o', 'type=ocl,dest=x'],
    code: 2,
    says: ['ocl', 'oci'],
  },
];
