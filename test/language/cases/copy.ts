import type { LanguageCase } from './types.ts';

const TREE = { 'a.txt': 'a', 'b.txt': 'b', 'dir/one': '1', 'dir/two': '2', 'dir/sub/deep': 'deep' };
const NAMES = `FROM @base
RUN echo 'web:x:33:44::/:' >> /etc/passwd && echo 'staff:x:55:' >> /etc/group
`;

export const COPY_CASES: readonly LanguageCase[] = [
  {
    name: 'a directory as a source gives what is in it, never itself',
    dockerfile: 'FROM scratch\nCOPY dir /x\nCOPY dir/ /y/\nCOPY dir a.txt /z/\nCOPY dir /',
    files: TREE,
  },
  {
    name: 'several directories are merged, the later one wins',
    dockerfile: 'FROM scratch\nCOPY p q /m/',
    files: { 'p/same': 'p', 'p/d/1': '1', 'q/same': 'q', 'q/d/2': '2' },
  },
  {
    name: 'a destination without a slash is the file, an existing directory takes it in',
    dockerfile: 'FROM scratch\nCOPY a.txt /new\nCOPY a.txt /deep/er/name\nCOPY dir /d\nCOPY a.txt /d\nCOPY b.txt /d/',
    files: TREE,
  },
  {
    name: 'several sources make the destination a directory by its slash',
    dockerfile: 'FROM scratch\nCOPY a.txt b.txt /both/\nCOPY a.txt b.txt /',
    files: TREE,
  },
  { name: 'several sources without a slash', dockerfile: 'FROM scratch\nCOPY a.txt b.txt /both', files: TREE },
  {
    name: 'a wildcard without a slash is several sources',
    dockerfile: 'FROM scratch\nCOPY *.txt /both\n',
    files: TREE,
  },
  {
    name: 'a slash behind a source means nothing, dots stay in the context',
    dockerfile:
      'FROM scratch\nCOPY dir/ /s\nCOPY ../a.txt ../../../b.txt /up/\nCOPY ./dir/../a.txt /c\nCOPY //a.txt /dd',
    files: TREE,
  },
  { name: 'a file named with a slash behind it', dockerfile: 'FROM scratch\nCOPY a.txt/ /s', files: TREE },
  {
    name: 'a relative destination is below WORKDIR, a source of a stage below its root',
    dockerfile:
      'FROM scratch AS s\nWORKDIR /w\nCOPY a.txt here\nCOPY a.txt ./\nCOPY b.txt /w/sub/b\nFROM scratch\nWORKDIR /v/../u\nCOPY --from=s w/here .\nCOPY --from=s ../w/sub ./sub\nCOPY --from=s ./w x/y',
    files: TREE,
  },
  {
    name: 'a source of a stage is not below its WORKDIR',
    dockerfile: 'FROM scratch AS s\nWORKDIR /w\nCOPY a.txt here\nFROM scratch\nCOPY --from=s here /',
    files: TREE,
  },
  {
    name: 'wildcards match within one component',
    dockerfile:
      'FROM scratch\nCOPY f* /s/\nCOPY d/*/[xy].? /c/\nCOPY d/??/* /q/\nCOPY d/[^x]*/*.c /n/\nCOPY */*/x.c /m/',
    files: {
      f1: '1',
      f2: '2',
      'd/ab/x.c': 'x',
      'd/ab/y.h': 'y',
      'd/ab/z.c': 'z',
      'd/xcd/x.c': 'other',
      'd/fe/f1': 'in',
    },
  },
  {
    name: 'a wildcard that matches nothing is fine beside one that does',
    dockerfile: 'FROM scratch\nCOPY a.txt none* /x/\nCOPY none* /y/',
    files: TREE,
  },
  {
    name: 'a wildcard alone that matches nothing',
    dockerfile: 'FROM scratch\nCOPY a.txt /\nCOPY none* /y/',
    files: TREE,
  },
  { name: 'a name that is not there', dockerfile: 'FROM scratch\nCOPY a.txt none /x/', files: TREE },
  {
    name: 'two stars are no more than one',
    dockerfile: 'FROM scratch\nCOPY **/deep /x/\nCOPY dir/** /y/',
    files: TREE,
  },
  {
    name: 'a wildcard in a stage',
    dockerfile: 'FROM scratch AS s\nCOPY . /t/\nFROM scratch\nCOPY --from=s /t/*.txt /t/d*/s* /o/',
    files: TREE,
  },
  {
    name: 'a directory behind a wildcard is flattened',
    dockerfile: 'FROM scratch\nCOPY d* /x/\nCOPY dir/s* /y/\nCOPY * /all/',
    files: TREE,
  },
  {
    name: 'brackets are escaped',
    dockerfile: 'FROM scratch\nCOPY [[]x]y \\[x\\]z /o/\nCOPY a\\*b /p',
    files: { '[x]y': '1', '[x]z': '2', 'a*b': '3', axb: '4' },
  },
  {
    name: 'names with spaces and beyond ASCII want JSON',
    dockerfile: 'FROM scratch\nCOPY ["a b", "ü", "/o p/"]\nCOPY ["c[0]d","/e"]',
    files: { 'a b': '1', ü: '2', 'c[0]d': '3', c0d: '4' },
  },
  {
    name: 'a new destination directory is 0755 and root’s, what is below keeps its mode',
    dockerfile: 'FROM scratch\nCOPY p /a/b/new\nCOPY p/f /c/f\nCOPY p/d /c/d/e/',
    files: { 'p/f': '', 'p/d/x': '', 'p/d/e/y': '' },
    prepare: 'chmod 700 p p/d p/d/e; chmod 640 p/f; chmod 2770 p/d/e; chmod 4755 p/d/x',
  },
  {
    name: 'an existing destination keeps its mode, one below takes the source’s',
    dockerfile:
      'FROM @base\nRUN mkdir -p -m 711 /t /t/d /t/other && chown -R 5:6 /t && touch /t/d/keep\nCOPY p /t\nCOPY p/d/x /t/other/x',
    files: { 'p/d/x': 'x', 'p/f': '' },
    prepare: 'chmod 750 p p/d',
  },
  {
    name: 'from a stage, owners and modes stay, also of directories below',
    dockerfile:
      'FROM @base AS s\nRUN mkdir -p /o/d && touch /o/d/f /o/g && chown 7:8 /o /o/d/f && chown 9:9 /o/d && chmod 1770 /o/d && chmod 6711 /o/g && ln -s g /o/l && chown -h 3:4 /o/l && mkfifo /o/p && mknod /o/c c 1 3\nFROM scratch\nCOPY --from=s /o /o\nCOPY --from=s /o/d /o/g /two/\nCOPY --from=s /o/l /named\nCOPY --from=s --chown=1 /o /chowned',
  },
  {
    name: 'USER does not own what COPY brings',
    dockerfile: 'FROM @base\nUSER app\nCOPY a.txt /a\nCOPY dir /d\nADD b.txt /b\nWORKDIR /w\nCOPY a.txt .',
    files: TREE,
  },
  {
    name: 'chown by number: the group is the user’s number unless it is given',
    dockerfile:
      'FROM scratch\nCOPY --chown=5 a.txt /1\nCOPY --chown=5:6 a.txt /2\nCOPY --chown=0 dir /3/4\nCOPY --chown=5: a.txt /5',
    files: TREE,
  },
  {
    name: 'chown by name is looked up in the image',
    dockerfile: `${NAMES}COPY --chown=web a.txt /1\nCOPY --chown=web:staff a.txt /2\nCOPY --chown=app:7 dir /3\nCOPY --chown=7:staff a.txt /4\nCOPY --chown=:staff a.txt /5`,
    files: TREE,
  },
  {
    name: 'chown of a name that is not there',
    dockerfile: 'FROM @base\nCOPY --chown=ghost a.txt /1\nCOPY --chown=0:ghosts a.txt /2',
    files: TREE,
  },
  {
    name: 'chown with a variable',
    dockerfile:
      'FROM @base\nARG U=app\nENV G=extra\nCOPY --chown=$U:${G} a.txt /1\nCOPY --chown=${NONE:-9} a.txt /2\nCOPY --chown=$NONE a.txt /3',
    files: TREE,
  },
  {
    name: 'chown and chmod are of directories made on the way, too',
    dockerfile:
      'FROM scratch\nCOPY --chown=4:5 --chmod=750 a.txt /x/y/z\nCOPY --chmod=711 dir /p/q\nCOPY --chown=1:2 dir /p/r/s/\nCOPY --chown=3:3 a.txt /p/new/',
    files: TREE,
  },
  {
    name: 'chmod by letters, of files and directories, not of links',
    dockerfile:
      'FROM scratch\nCOPY --chmod=u+x,go-w dir /1\nCOPY --chmod=a=rX dir /2\nCOPY --chmod=g=u,o= dir /3\nCOPY --chmod=+x a.txt /4\nCOPY --chmod=u=rwxs,g+s,o+t dir /5\nCOPY --chmod=go=u-w dir /6',
    files: TREE,
    prepare: 'chmod 766 dir/one; chmod 700 dir/sub; ln -s one dir/link',
  },
  {
    name: 'chmod by number',
    dockerfile:
      'FROM scratch\nCOPY --chmod=7777 a.txt /1\nCOPY --chmod=0 a.txt /2\nCOPY --chmod=0644 dir /3\nCOPY --chmod=04755 a.txt /4\nARG M=700\nCOPY --chmod=$M a.txt /5',
    files: TREE,
  },
  { name: 'chmod beyond 07777', dockerfile: 'FROM scratch\nCOPY --chmod=10000 a.txt /1', files: TREE },
  { name: 'chmod with a digit that is none', dockerfile: 'FROM scratch\nCOPY --chmod=689 a.txt /1', files: TREE },
  { name: 'chmod with letters that are none', dockerfile: 'FROM scratch\nCOPY --chmod=u+q a.txt /1', files: TREE },
  { name: 'chmod of nothing', dockerfile: 'FROM scratch\nCOPY --chmod= a.txt /1', files: TREE },
  {
    name: 'chown takes setuid away unless chmod gives it',
    dockerfile:
      'FROM scratch\nCOPY --chown=1:1 s /1\nCOPY --chown=1:1 --chmod=4755 s /2\nCOPY s /3\nCOPY --chown=0:0 s /4',
    files: { s: 's' },
    prepare: 'chmod 6755 s',
  },
  {
    name: 'capabilities of files in a context stay behind',
    dockerfile: 'FROM @base AS s\nCOPY s /s\nFROM scratch\nCOPY s /1\nCOPY --from=s /s /2\nCOPY --chown=5 s /3',
    files: { s: 's' },
    prepare: 'setcap cap_net_bind_service+ep s',
  },
  {
    name: 'a link that is named is followed, one inside a tree is a link',
    dockerfile: 'FROM scratch\nCOPY l /1\nCOPY dl /2\nCOPY dl/ /3/\nCOPY t /4\nCOPY t/l* /5/\nCOPY up /6',
    files: { ...TREE, 't/x': 'x' },
    prepare:
      'ln -s a.txt l; ln -s dir dl; ln -s ../a.txt t/l1; ln -s x t/l2; ln -s /etc/passwd t/abs; ln -s ../../../../a.txt up',
  },
  {
    name: 'a link in the path to a source',
    dockerfile: 'FROM scratch\nCOPY dl/sub/deep /1/\nCOPY abs/two /2',
    files: TREE,
    prepare: 'ln -s dir dl; ln -s /dir abs',
  },
  {
    name: 'a link to nothing as a source',
    dockerfile: 'FROM scratch\nCOPY l /1',
    prepare: 'ln -s nowhere l',
    files: TREE,
  },
  {
    name: 'a link to nothing inside a tree',
    dockerfile: 'FROM scratch\nCOPY t /1\nCOPY . /2/',
    files: {},
    prepare: 'mkdir t; ln -s nowhere t/l; ln -s l2 t/l1; ln -s l1 t/l2',
  },
  {
    name: 'links in a stage as sources',
    dockerfile:
      'FROM @base AS s\nRUN mkdir -p /r/d && echo x > /r/d/f && ln -s /r/d /l && ln -s d/f /r/fl && ln -s /l/f /chain\nFROM scratch\nCOPY --from=s /l /1\nCOPY --from=s /l/f /r/fl /chain /2/\nCOPY --from=s /l* /3/',
  },
  {
    name: 'a link in the destination is followed within the image',
    dockerfile:
      'FROM @base\nRUN mkdir -p /real/d && ln -s /real /abs && ln -s ../../../real/d /up && ln -s real/d/file /f\nCOPY a.txt /abs/a\nCOPY a.txt /up/\nCOPY dir /abs\nCOPY b.txt /up',
    files: TREE,
  },
  {
    name: 'a link to a file as the destination',
    dockerfile:
      'FROM @base\nRUN mkdir /real && echo old > /real/f && ln -s /real/f /l && ln -s /nowhere/f /n\nCOPY a.txt /l\n',
    files: TREE,
  },
  {
    name: 'a link to nothing as the destination',
    dockerfile: 'FROM @base\nRUN ln -s /nowhere/f /n && ln -s /gone /g\nCOPY a.txt /n\nCOPY a.txt /g/x\n',
    files: TREE,
  },
  {
    name: 'links below the destination are replaced',
    dockerfile:
      'FROM @base\nRUN mkdir -p /t /elsewhere && ln -s /elsewhere/f /t/one && ln -s /elsewhere /t/two\nCOPY dir /t',
    files: TREE,
  },
  {
    name: 'a directory where a link to one is',
    dockerfile: 'FROM @base\nRUN mkdir -p /t /elsewhere && ln -s /elsewhere /t/sub\nCOPY dir /t',
    files: TREE,
  },
  { name: 'a directory over a file', dockerfile: 'FROM scratch\nCOPY a.txt /t/sub\nCOPY dir /t', files: TREE },
  { name: 'a file over a directory', dockerfile: 'FROM scratch\nCOPY dir /t/one/\nCOPY dir /t', files: TREE },
  { name: 'a file whose parent is a file', dockerfile: 'FROM scratch\nCOPY a.txt /t\nCOPY a.txt /t/x', files: TREE },
  { name: 'a directory to where a file is', dockerfile: 'FROM scratch\nCOPY a.txt /t\nCOPY dir /t', files: TREE },
  {
    name: 'a file to a file with a slash behind it',
    dockerfile: 'FROM scratch\nCOPY a.txt /t\nCOPY b.txt /t/',
    files: TREE,
  },
  {
    name: 'hard links of one COPY stay links',
    dockerfile: 'FROM scratch\nCOPY . /1/\nCOPY h1 h2 /2/\nCOPY d /3',
    files: { h1: 'h' },
    prepare: 'mkdir d; ln h1 h2; ln h1 d/h3; ln d/h3 d/h4',
  },
  {
    name: 'hard links of a stage',
    dockerfile:
      'FROM @base AS s\nRUN mkdir /d && echo 1 > /d/a && ln /d/a /d/b && ln /d/a /c\nFROM scratch\nCOPY --from=s /d /d\nCOPY --from=s /c /d/b /e/',
  },
  {
    name: 'sockets and pipes in a context',
    dockerfile: 'FROM scratch\nCOPY . /c/',
    files: { f: 'f' },
    prepare: 'mkfifo p; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'s\')"',
  },
  {
    name: 'empty directories and files are copied',
    dockerfile: 'FROM scratch\nCOPY . /c/\nCOPY e /d\nCOPY e /x/y/',
    files: { f: '' },
    prepare: 'mkdir e; mkdir -p g/h',
  },
  {
    name: 'an empty context',
    dockerfile: 'FROM scratch\nCOPY . /c/',
    files: {},
    args: ['-f', '@dir/Dockerfile.beside'],
  },
  {
    name: 'the root as a source and a destination',
    dockerfile: 'FROM scratch AS s\nCOPY dir /d\nFROM scratch\nCOPY --from=s / /\nCOPY / /ctx/\nCOPY --from=s . /again',
    files: TREE,
  },
  {
    name: 'a COPY onto itself from the stage below',
    dockerfile: 'FROM scratch AS s\nCOPY dir /d\nFROM s\nCOPY --from=s /d /d/e\nCOPY --from=0 /d/one /d/one',
    files: TREE,
  },
  {
    name: 'an image as a source, whole and in part',
    dockerfile:
      'FROM scratch\nCOPY --from=@base /etc/passwd /p\nCOPY --from=@base /bin/sh /sh\nCOPY --from=@base --chown=3 /etc /e',
  },
  {
    name: 'COPY --from takes no variable',
    dockerfile: 'FROM @base AS s\nFROM @base\nARG N=s\nCOPY --from=$N /etc/passwd /p',
  },
  {
    name: 'COPY --from a number that is not there',
    dockerfile: 'FROM @base AS s\nFROM @base\nCOPY --from=1 /etc/passwd /p',
  },
  {
    name: 'COPY --from a later stage',
    dockerfile: 'FROM @base AS s\nCOPY --from=t /etc/passwd /p\nFROM @base AS t',
    args: ['--target', 's'],
  },
  {
    name: 'stage names are the same in any case',
    dockerfile: 'FROM @base AS Tool\nRUN echo 1 > /1\nFROM scratch\nCOPY --from=TOOL /1 /1\nCOPY --from=tool /1 /2',
  },
  {
    name: 'variables in sources and destinations',
    dockerfile:
      'FROM scratch\nENV D=dir E=/e F="a.txt"\nARG G=b\nCOPY $D/one ${D}/two $E/$NONE/\nCOPY $F ${G}.txt "${E}2/"\nCOPY ${F%.txt}.txt /x${F#a}',
    files: TREE,
  },
  { name: 'quotes in sources', dockerfile: 'FROM scratch\nCOPY "a.txt" \'b.txt\' /x/\nCOPY dir/o"ne" /y', files: TREE },
  { name: 'one word is no COPY', dockerfile: 'FROM scratch\nCOPY a.txt', files: TREE },
  { name: 'an empty destination', dockerfile: 'FROM scratch\nCOPY a.txt ""', files: TREE },
  {
    name: 'a destination of dots',
    dockerfile: 'FROM scratch\nWORKDIR /w/v\nCOPY a.txt .\nCOPY a.txt ..\nCOPY a.txt ../../../x\nCOPY dir ./y/./z/..',
    files: TREE,
  },
  {
    name: 'the later of two COPYs of one file',
    dockerfile: 'FROM scratch\nCOPY a.txt /f\nCOPY b.txt /f\nCOPY --chmod=600 b.txt /f',
    files: TREE,
  },
  {
    name: 'COPY --link is made on nothing and laid over',
    dockerfile:
      'FROM @base\nRUN mkdir -p -m 700 /t && ln -s /t /l && echo 1 > /t/one\nCOPY --link a.txt /t/a\nCOPY --link dir /t/\nCOPY --link a.txt b.txt /n/\nCOPY --link --chown=1:2 --chmod=640 a.txt /o/p/q\nCOPY --link --from=@base /etc/passwd /pw',
    files: TREE,
  },
  {
    name: 'COPY --link over a link',
    dockerfile: 'FROM @base\nRUN mkdir -p /t && ln -s /t /l\nCOPY --link a.txt /l/a',
    files: TREE,
  },
  {
    name: 'COPY --link into an existing directory without a slash',
    dockerfile: 'FROM @base\nRUN mkdir -p /t\nCOPY --link a.txt /t',
    files: TREE,
  },
  { name: 'COPY --link looks no names up', dockerfile: 'FROM @base\nCOPY --link --chown=app a.txt /t', files: TREE },
  {
    name: 'COPY --link=false is a plain COPY',
    dockerfile: 'FROM @base\nRUN mkdir /t\nCOPY --link=false a.txt /t\nCOPY --link=true a.txt /u/',
    files: TREE,
  },
  { name: 'COPY --link=maybe', dockerfile: 'FROM @base\nCOPY --link=maybe a.txt /t', files: TREE },
  { name: 'a flag given twice', dockerfile: 'FROM @base\nCOPY --chown=1 --chown=2 a.txt /t', files: TREE },
  { name: 'a flag after the sources is a source', dockerfile: 'FROM @base\nCOPY a.txt --chown=1 /t/', files: TREE },
  {
    name: 'two dashes end the flags',
    dockerfile: 'FROM scratch\nCOPY -- --odd /t/\nCOPY --chmod=600 -- a.txt /u',
    files: { ...TREE, '--odd': 'o' },
  },
  {
    name: 'flags before the JSON form',
    dockerfile:
      'FROM scratch\nCOPY --chown=1:2 --chmod=600 ["a.txt", "b.txt", "/t u/"]\nADD --chmod=611 [ "a.txt" , "/v" ]',
    files: TREE,
  },
  {
    name: 'WORKDIR with an owner, then COPY',
    dockerfile: 'FROM @base\nUSER 5:6\nWORKDIR /a/b\nCOPY a.txt .\nCOPY --chown=7 dir ./c/\nUSER app\nWORKDIR d/e',
    files: TREE,
  },
  {
    name: 'excluded names stay behind',
    dockerfile:
      'FROM scratch\nCOPY --exclude=*.txt . /1/\nCOPY --exclude=dir/sub . /2/\nCOPY --exclude=**/one --exclude=*.txt . /3/\nCOPY --exclude=sub dir /4\nCOPY --exclude=o* dir/* /5/\nCOPY --exclude=dir/* --exclude=!dir/two . /6/',
    files: TREE,
    newer: true,
  },
  {
    name: 'excluded names of a stage, and with other flags',
    dockerfile:
      'FROM scratch AS s\nCOPY . /t/\nFROM scratch\nCOPY --from=s --exclude=*.txt --chown=3 /t /1\nCOPY --link --exclude=sub dir /2/\nADD --exclude=two dir /3\nCOPY --exclude=$X dir /4',
    files: { ...TREE, $X: '' },
    newer: true,
  },
  {
    name: 'parents are kept, from the dot on',
    dockerfile:
      'FROM scratch\nCOPY --parents a.txt dir/sub/deep /1/\nCOPY --parents dir /2\nCOPY --parents ./dir/./sub /3/\nCOPY --parents dir/*/deep /4/\nCOPY --parents dir/o* dir/./t* /5/\nCOPY --parents --chown=1:2 --chmod=700 dir/one /6/\nCOPY --parents **/deep /7/',
    files: TREE,
    prepare: 'chmod 750 dir; chmod 711 dir/sub',
    newer: true,
  },
  {
    name: 'parents in a stage',
    dockerfile:
      'FROM @base AS s\nRUN mkdir -p /o/p && chown 5:5 /o && chmod 700 /o/p && echo > /o/p/f\nFROM scratch\nCOPY --from=s --parents /o/p/f /1/\nCOPY --from=s --parents /o/./p/f /2/\nCOPY --parents --link dir/./sub /3/',
    files: TREE,
    newer: true,
  },
  {
    name: 'parents of a name that is not there',
    dockerfile: 'FROM scratch\nCOPY --parents none/x /1/',
    files: TREE,
    newer: 'fails',
  },
];
