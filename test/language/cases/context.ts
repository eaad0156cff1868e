import type { LanguageCase } from './types.ts';

const TREE = {
  'a.txt': 'a',
  'a.log': 'l',
  'dir/one': '1',
  'dir/one.log': 'l',
  'dir/sub/deep': 'd',
  'dir/sub/x.log': 'l',
  'other/y': 'y',
};
const ALL = 'FROM scratch\nCOPY . /c/';
const ignoring = (name: string, lines: string, dockerfile = ALL): LanguageCase => ({
  name,
  dockerfile,
  files: { ...TREE, '.dockerignore': lines },
});

export const CONTEXT_CASES: readonly LanguageCase[] = [
  ignoring('an ignored directory takes all below with it', 'dir\n'),
  ignoring('a star stays in its directory, two do not', '*.log\n**/x.log\n'),
  ignoring('the last line that matches decides', '**/*.log\n!dir/one.log\n!dir\ndir/sub\n!dir/sub/deep\n'),
  ignoring('all but some', '*\n!dir/sub\n!a.txt\n'),
  ignoring('all but something deep', '**\n!dir/sub/deep\n'),
  ignoring('all but a pattern', '*\n!**/*.log\n'),
  ignoring('a comment only in the first column', '# no\n  # other\n a.txt \n\t\n\ndir/#x\n'),
  ignoring('slashes and dots are cleaned', '/a.txt\n./dir//sub/\nother/../a.log\n'),
  ignoring('a line for what is above', '../a.txt\n/../dir\n'),
  ignoring('a lone dot and a lone slash', '.\n'),
  ignoring('a lone slash', '/\n'),
  ignoring('question marks and sets', '?.txt\ndir/[n-p]ne\n[^a]*/y\n'),
  ignoring('a lone exclamation mark', '!\n'),
  ignoring('a set that is left open', 'a[\n'),
  ignoring('an exclamation mark with a blank', '*\n! a.txt\n'),
  ignoring('escapes', 'a\\.txt\n\\*.log\n'),
  ignoring('a byte order mark and carriage returns', '\uFEFFa.txt\r\n# x\r\n*.log\r\n'),
  ignoring('stars in the middle', 'dir/**/deep\n**/on*\n'),
  ignoring('two stars with a name behind', 'di**\n'),
  ignoring('the Dockerfile and the file itself may be ignored', 'Dockerfile\n.dockerignore\n'),
  ignoring('an ignored file that is named', 'a.txt\n', 'FROM scratch\nCOPY a.txt /'),
  ignoring('an ignored directory that is named', 'dir\n', 'FROM scratch\nCOPY dir /'),
  ignoring('a wildcard over ignored files', '*.txt\n', 'FROM scratch\nCOPY a.* /x/'),
  ignoring(
    'an ignored file in a bind mount',
    'a.txt\ndir/sub\n',
    'FROM @base\nRUN --mount=target=/c cd /c && find . | sort > /1',
  ),
  ignoring(
    'stages know nothing of it',
    '*.txt\n',
    'FROM scratch AS s\nCOPY . /c/\nCOPY dir/one /a.txt\nFROM scratch\nCOPY --from=s / /',
  ),
  {
    name: 'the ignore file of a Dockerfile replaces that of the context',
    dockerfile: ALL,
    files: { ...TREE, '.dockerignore': 'dir\n', 'Dockerfile.dockerignore': '*.txt\n' },
  },
  {
    name: 'the ignore file beside another Dockerfile',
    dockerfile: ALL,
    files: {
      ...TREE,
      '.dockerignore': 'dir\n',
      'sub/x.Dockerfile': ALL,
      'sub/x.Dockerfile.dockerignore': '*.txt\nsub\n',
    },
    args: ['-f', '@ctx/sub/x.Dockerfile'],
  },
  { name: 'an empty ignore file', dockerfile: ALL, files: { a: 'a', '.dockerignore': '' } },
  {
    name: 'an ignored link, and a link to what is ignored',
    dockerfile: ALL,
    files: { ...TREE, '.dockerignore': 'l\na.txt\n' },
    prepare: 'ln -s a.txt l; ln -s a.txt m; ln -s dir n',
  },

  {
    name: 'a Dockerfile outside of the context',
    dockerfile: 'FROM scratch\nCOPY . /c/',
    files: { a: 'a' },
    args: ['-f', '@dir/Dockerfile.beside'],
  },
  { name: 'a Dockerfile in lower case', dockerfile: ALL, files: { a: 'a' }, prepare: 'mv Dockerfile dockerfile' },
  {
    name: 'a Dockerfile that is a link',
    dockerfile: ALL,
    files: { a: 'a' },
    prepare: 'mv Dockerfile real; ln -s real Dockerfile',
  },
  { name: 'no Dockerfile', dockerfile: ALL, files: { a: 'a' }, prepare: 'rm Dockerfile' },
  {
    name: 'a named directory as a context',
    dockerfile:
      'FROM @base\nCOPY --from=more . /1/\nRUN --mount=from=more,target=/m ls /m > /2\nCOPY --from=more /in/x /3',
    files: { 'x/y': 'main' },
    prepare: 'mkdir -p ../more/in; echo x > ../more/in/x; echo z > ../more/z; echo z > ../more/.dockerignore',
    args: ['--build-context', 'more=@dir/more'],
  },
  {
    name: 'a named context in place of an image',
    dockerfile:
      'FROM scratch AS s\nCOPY --from=alpine /f /1\nCOPY --from=alpine:latest /f /2\nFROM scratch\nCOPY --from=s / /',
    prepare: 'mkdir ../more; echo x > ../more/f',
    args: ['--build-context', 'alpine=@dir/more'],
  },
  {
    name: 'a named context in place of a base',
    dockerfile: 'FROM alpine:3.99\nENV a=1\nRUN echo x > /x',
    args: ['--build-context', 'alpine:3.99=docker-image://@base:latest'],
  },
  {
    name: 'a named context in place of a stage',
    dockerfile: 'FROM nowhere.invalid/x AS s\nRUN false\nFROM scratch\nCOPY --from=s /f /1',
    prepare: 'mkdir ../more; echo x > ../more/f',
    args: ['--build-context', 's=@dir/more'],
  },
  {
    name: 'a named context for scratch is not taken',
    dockerfile: 'FROM scratch\nCOPY a /',
    files: { a: 'a' },
    args: ['--build-context', 'scratch=docker-image://@base:latest'],
  },
  {
    name: 'a named context that is not there',
    dockerfile: 'FROM scratch\nCOPY --from=more f /',
    args: ['--build-context', 'more=@dir/none'],
  },
  {
    name: 'a named context from the web',
    dockerfile: 'FROM scratch\nCOPY --from=tar . /1/',
    args: ['--build-context', 'tar=@www/archive.tar.gz'],
    newer: true,
  },
  {
    name: 'a named context from git',
    dockerfile: 'FROM scratch\nCOPY --from=repo . /2/',
    args: ['--build-context', 'repo=@git/repo.git#v1'],
    timeless: true,
  },
  {
    name: 'a stage wins over an image of its name',
    dockerfile: 'FROM scratch AS alpine\nENV a=1\nFROM alpine\nENV b=1',
  },

  { name: 'a context from git', dockerfile: '', context: '@git/repo.git', timeless: true },
  {
    name: 'a context from git at a tag, in a directory',
    dockerfile: '',
    context: '@git/repo.git#v1:dir',
    timeless: true,
  },
  {
    name: 'a context from git, the default branch and a directory',
    dockerfile: '',
    context: '@git/repo.git#:dir',
    timeless: true,
  },
  {
    name: 'a context from git with submodules',
    dockerfile: 'FROM scratch\nCOPY mod/inner .gitmodules file /x/',
    args: ['-f', '@dir/Dockerfile.beside'],
    context: '@git/mods.git#modules',
    timeless: true,
  },
  {
    name: 'a context from git with its .git',
    dockerfile: 'FROM scratch\nCOPY .git/HEAD file /x/',
    context: '@git/repo.git#v1',
    args: ['--build-arg', 'BUILDKIT_CONTEXT_KEEP_GIT_DIR=1', '-f', '@dir/Dockerfile.beside'],
    timeless: true,
  },
  {
    name: 'a context from git without its .git',
    dockerfile: 'FROM scratch\nCOPY .git /x/',
    context: '@git/repo.git#v1',
    args: ['-f', '@dir/Dockerfile.beside'],
    timeless: true,
  },
  { name: 'a context from git at a branch that is not there', dockerfile: '', context: '@git/repo.git#none' },
  { name: 'a context from git in a directory that is not there', dockerfile: '', context: '@git/repo.git#main:none' },
  { name: 'a context from the web', dockerfile: '', context: '@www/context' },
  { name: 'a context from the web that is a Dockerfile', dockerfile: '', context: '@www/Dockerfile' },
  { name: 'a context from the web that is not there', dockerfile: '', context: '@www/none' },

  {
    name: 'ADD of a URL',
    dockerfile:
      'FROM scratch\nADD @www/page.txt /1\nADD @www/page.txt /2/\nADD @www/page.txt @www/sub/page.txt /3/\nADD --chmod=755 --chown=5:6 @www/page.txt /4\nADD @www/page.txt?x=y#z /5/\nADD @www/undated /6/\nADD @www/moved /7/\nWORKDIR /w\nADD @www/page.txt .',
  },
  { name: 'ADD of a URL whose name is in the header', dockerfile: 'FROM scratch\nADD @www/named /1/' },
  { name: 'ADD of a URL without a name', dockerfile: 'FROM scratch\nADD @www/ /1/x' },
  { name: 'ADD of a URL without a name into a directory', dockerfile: 'FROM scratch\nADD @www/ /1/' },
  { name: 'ADD of a URL that is escaped', dockerfile: 'FROM scratch\nADD @www/a%20b /1/' },
  { name: 'ADD of a URL with a variable', dockerfile: 'FROM scratch\nARG U=@www F=page\nADD ${U}/${F}.txt /1/' },
  { name: 'ADD of a URL that is not there', dockerfile: 'FROM scratch\nADD @www/none /1' },
  {
    name: 'ADD of a URL beside a file',
    dockerfile: 'FROM scratch\nADD a @www/page.txt d /1/',
    files: { a: 'a', 'd/x': 'x' },
  },
  {
    name: 'ADD of an archive from the web is left packed',
    dockerfile: 'FROM scratch\nADD @www/archive.tar.gz /1/\nADD @www/archive.tar /2',
  },
  {
    name: 'ADD of an archive from the web is unpacked on demand',
    dockerfile:
      'FROM scratch\nADD --unpack @www/archive.tar.gz /1/\nADD --unpack=true --chown=7 @www/archive.tar /2\nADD --unpack=false @www/archive.tar /3',
    newer: true,
  },
  {
    name: 'ADD with a checksum',
    dockerfile:
      'FROM scratch\nADD --checksum=sha256:3e1b7d8a1d0f8c5a4fd9d3cfa3c6d8b6b4f4ac4e5a7cbb51a6a2e5ba5f4d2f2d @www/page.txt /1',
  },
  {
    name: 'ADD with the right checksum',
    dockerfile:
      'FROM scratch\nARG S=sha256:9a8eeff1d0bc6b9b7acf170b1168d6d07f193dc770d4c1864b03e48d775e8d1a\nADD --checksum=$S @www/page.txt /1',
  },
  { name: 'ADD with a checksum that is none', dockerfile: 'FROM scratch\nADD --checksum=abc @www/page.txt /1' },
  {
    name: 'ADD with a checksum of a file',
    dockerfile:
      'FROM scratch\nADD --checksum=sha256:3e1b7d8a1d0f8c5a4fd9d3cfa3c6d8b6b4f4ac4e5a7cbb51a6a2e5ba5f4d2f2d a /1',
    files: { a: 'a' },
  },
  {
    name: 'ADD with a checksum of two',
    dockerfile:
      'FROM scratch\nADD --checksum=sha256:3e1b7d8a1d0f8c5a4fd9d3cfa3c6d8b6b4f4ac4e5a7cbb51a6a2e5ba5f4d2f2d @www/page.txt @www/page.txt /1/',
  },
  {
    name: 'ADD of a repository',
    dockerfile:
      'FROM scratch\nADD @git/repo.git /1\nADD @git/repo.git#v1 /2/\nADD @git/repo.git#main:dir /3\nADD --chown=5:6 @git/repo.git#v1:dir/sub /5',
    timeless: true,
  },
  {
    name: 'ADD of a repository by query',
    dockerfile:
      'FROM scratch\nADD @git/repo.git?tag=v1 /1\nADD @git/repo.git?branch=main&subdir=dir /2\nADD @git/repo.git?ref=main&submodules=false /3',
    newer: true,
    timeless: true,
  },
  {
    name: 'ADD of a repository with its .git',
    dockerfile:
      'FROM scratch AS s\nADD --keep-git-dir @git/repo.git#v1 /1\nFROM @base\nCOPY --from=s /1/.git/HEAD /head\nCOPY --from=s /1/file /file',
    timeless: true,
  },
  { name: 'ADD of a repository at a tag that is not there', dockerfile: 'FROM scratch\nADD @git/repo.git#none /1' },
  { name: 'ADD of a repository that is none', dockerfile: 'FROM scratch\nADD @git/none.git /1' },
  {
    name: 'ADD unpacks by content, not by name',
    dockerfile: 'FROM scratch\nADD a.txt /1\nADD a.txt /2/\nADD empty.tar /3/\nADD text.tar.gz /4/\nCOPY a.txt /5',
    files: { 'empty.tar': '', 'text.tar.gz': 'text' },
    prepare:
      'mkdir in; echo 1 > in/one; tar --sort=name --owner=5:5 --group=6:6 --mtime=@1600000000 -C in -cf x one; gzip -nc x > a.txt; rm -r x in',
  },
  {
    name: 'ADD unpacks every compression',
    dockerfile: 'FROM scratch\nADD a.tar /1\nADD a.tgz /2\nADD a.bz2 /3\nADD a.zst /5\nADD a.gz2 /6/',
    prepare:
      'mkdir in; echo 1 > in/one; tar --sort=name --owner=5:5 --group=6:6 --mtime=@1600000000 -C in -cf a.tar .; gzip -nc a.tar > a.tgz; bzip2 -kc a.tar > a.bz2; zstd -qc a.tar > a.zst; gzip -nc a.tgz > a.gz2; rm -r in',
  },
  {
    name: 'ADD keeps numbers and modes of an archive, --chown does not',
    dockerfile: 'FROM scratch\nADD a.tar /1/2\nADD --chown=7:8 a.tar /3\nADD --chmod=700 a.tar /4\nADD a.tar b /5/',
    files: { b: 'b' },
    prepare:
      'mkdir -p in/d; echo 1 > in/d/one; chmod 4711 in/d/one; chmod 2750 in/d; ln -s one in/d/l; ln in/d/one in/h; mkfifo in/p; tar --sort=name --owner=5:5 --group=6:6 --mtime=@1600000000 -C in -cf a.tar .; rm -r in',
  },
  {
    name: 'ADD over what is there',
    dockerfile:
      'FROM @base\nRUN mkdir -p -m 711 /t/d /other && ln -s /other /t/l && touch /t/f /t/d/keep && chown 9 /t\nADD a.tar /t',
    prepare:
      'mkdir -p in/d in/l; echo 1 > in/d/one; echo 2 > in/l/two; echo 3 > in/f; chmod 700 in in/d; tar --sort=name --owner=5:5 --group=6:6 --mtime=@1600000000 -C in -cf a.tar .; rm -r in',
  },
  {
    name: 'ADD of an archive through links of the image',
    dockerfile:
      'FROM @base\nRUN mkdir -p /real && ln -s /real /abs && ln -s ../../real /up\nADD a.tar /abs\nADD a.tar /up/x',
    prepare: 'echo 1 > one; tar --sort=name --owner=5:5 --group=6:6 --mtime=@1600000000 -cf a.tar one; rm one',
  },
  {
    name: 'ADD of archives behind a wildcard',
    dockerfile: 'FROM scratch\nADD *.tar /1/\nADD d /2/',
    prepare:
      'mkdir d; echo 1 > one; echo 2 > two; for i in one two; do tar --sort=name --owner=5:5 --group=6:6 --mtime=@1600000000 -cf $i.tar $i; rm $i; done; cp one.tar d/in.tar',
  },
  {
    name: 'ADD of an archive from a context stays packed on demand',
    dockerfile: 'FROM scratch\nADD --unpack=false a.tar /1/\nADD --unpack=true a.tar /2/',
    prepare: 'echo 1 > one; tar --sort=name --owner=5:5 --group=6:6 --mtime=@1600000000 -cf a.tar one; rm one',
    newer: true,
  },
  {
    name: 'ADD --link',
    dockerfile: 'FROM @base\nRUN mkdir -m 700 /t\nADD --link a.tar /t/\nADD --link --chown=3 b /t/u/b',
    files: { b: 'b' },
    prepare: 'echo 1 > one; tar --sort=name --owner=5:5 --group=6:6 --mtime=@1600000000 -cf a.tar one; rm one',
  },
  {
    name: 'ADD is COPY for files and directories',
    dockerfile: 'FROM scratch\nADD a /1\nADD d /2\nADD d a /3/\nADD d* /4/\nADD --chmod=600 --chown=1:2 d /5',
    files: { a: 'a', 'd/x': 'x', 'd/e/y': 'y' },
  },
  {
    name: 'ADD of an archive with dots in it',
    dockerfile: 'FROM scratch\nADD a.tar /in/',
    prepare:
      'mkdir -p in; echo 1 > one; tar -P --owner=5:5 --group=6:6 --mtime=@1600000000 --transform="s,one,../../../out," -cf a.tar one; rm one',
  },
  {
    name: 'ADD of an archive with an absolute name',
    dockerfile: 'FROM scratch\nADD a.tar /in/',
    prepare:
      'echo 1 > one; tar -P --owner=5:5 --group=6:6 --mtime=@1600000000 --transform="s,one,/abs/one," -cf a.tar one; rm one',
  },
  {
    name: 'ADD of a broken archive',
    dockerfile: 'FROM scratch\nADD a.tar /in/',
    prepare: 'head -c 3000 /dev/urandom > one; tar --mtime=@1600000000 -cf b one; head -c 1500 b > a.tar; rm one b',
  },
  {
    name: 'capabilities in an archive live on, through COPY and RUN',
    dockerfile:
      'FROM @base AS s\nADD a.tar /s/\nRUN touch /s/other && mv /s /t\nFROM scratch\nCOPY --from=s /t /1\nCOPY --from=s --chown=5 /t/f /2\nCOPY --from=s --chmod=711 /t/f /3',
    prepare:
      'echo f > f; setcap cap_net_raw+ep f; tar --xattrs --xattrs-include=security.capability --owner=5:5 --group=6:6 --mtime=@1600000000 -cf a.tar f; rm f',
  },
];
