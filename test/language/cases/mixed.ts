import type { LanguageCase } from './types.ts';

const TREE = { 'a.txt': 'a', 'b.txt': 'b', 'dir/one': '1', 'dir/two': '2', 'dir/sub/deep': 'deep' };

/** Instructions that meet: what each does is elsewhere. */
export const MIXED_CASES: readonly LanguageCase[] = [
  {
    name: 'a copy over what a step made, and a step over what was copied',
    dockerfile:
      'FROM @base\nRUN mkdir -p -m 700 /d/sub && chown 4:4 /d && touch /d/one && chmod 600 /d/one && ln /d/one /d/hard\nCOPY dir /d\nRUN rm /d/two && echo more >> /d/one && chmod 750 /d/sub\nCOPY --chmod=644 dir/two /d/',
    files: TREE,
  },
  {
    name: 'a directory that is deleted and copied anew',
    dockerfile: 'FROM @base\nCOPY dir /d\nRUN rm -r /d\nCOPY dir/sub /d\nCOPY dir /d/again',
    files: TREE,
  },
  {
    name: 'a link to a directory that is replaced by one',
    dockerfile:
      'FROM @base\nRUN mkdir /r && touch /r/x && ln -s /r /l\nRUN rm /l && mkdir /l && touch /l/y\nCOPY dir /l',
    files: TREE,
  },
  {
    name: 'a directory that is replaced by a link to another',
    dockerfile:
      'FROM @base\nRUN mkdir /r /d && touch /r/x /d/y\nRUN rm -r /d && ln -s r /d\nCOPY dir /d\nCOPY a.txt /d/',
    files: TREE,
  },
  {
    name: 'links in a chain in the destination',
    dockerfile:
      'FROM @base\nRUN mkdir -p /a/b/c && ln -s a /l1 && ln -s ../l1/b /a/l2 && ln -s /a/l2/c /l3\nCOPY a.txt /l3/x\nCOPY dir /l1/l2/c/\nWORKDIR /l3\nCOPY b.txt .\nRUN pwd -P > /p',
    files: TREE,
  },
  {
    name: 'a link that leads to itself in the destination',
    dockerfile: 'FROM @base\nRUN ln -s l /l\nCOPY a.txt /l/x',
    files: TREE,
  },
  {
    name: 'dots after a link in the destination',
    dockerfile: 'FROM @base\nRUN mkdir -p /a/b && ln -s /a/b /l\nCOPY a.txt /l/../x\nCOPY a.txt /l/./y',
    files: TREE,
  },
  {
    name: 'copies of a stage through links with slashes',
    dockerfile:
      'FROM @base AS s\nRUN mkdir -p /a/b && touch /a/b/f && ln -s a /l && ln -s b/f /a/g\nFROM scratch\nCOPY --from=s /l/ /1\nCOPY --from=s /l/b /2\nCOPY --from=s l/g /3\nCOPY --from=s /l/* /4/\nCOPY --from=s /l/../a/b/f /5',
  },
  {
    name: 'a file of a stage that a later layer replaced',
    dockerfile:
      'FROM @base AS s\nRUN echo 1 > /f && mkdir /d && echo 1 > /d/x\nRUN echo 2 > /f && rm /d/x && echo 2 > /d/y\nRUN rm -r /d && mkdir /d && echo 3 > /d/z\nFROM scratch\nCOPY --from=s /f /d /o/',
  },
  {
    name: 'an owner of a stage’s passwd is not that of the target',
    dockerfile:
      'FROM @base AS s\nRUN echo "me:x:77:78::/:" >> /etc/passwd && echo x > /f && chown me /f\nFROM @base\nRUN echo "me:x:87:88::/:" >> /etc/passwd\nCOPY --from=s /f /1\nCOPY --from=s --chown=me /f /2\nUSER me\nWORKDIR /home/me/x',
  },
  {
    name: 'a passwd that is copied in, and then used',
    dockerfile:
      'FROM scratch\nCOPY passwd /etc/passwd\nCOPY group /etc/group\nCOPY --chown=one:two a /a\nCOPY --chown=one a /b\nUSER one\nWORKDIR /w',
    files: { passwd: 'root:x:0:0::/:\none:x:11:12::/:\n', group: 'two:x:22:\n', a: 'a' },
  },
  {
    name: 'a numeric name in passwd',
    dockerfile: 'FROM @base\nRUN echo "99:x:5:6::/:" >> /etc/passwd\nCOPY --chown=99 a /a\nCOPY --chown=5 a /b',
    files: { a: 'a' },
  },
  {
    name: 'a passwd behind a link',
    dockerfile:
      'FROM @base\nRUN mv /etc/passwd /etc/real && ln -s real /etc/passwd\nCOPY --chown=app a /a\nUSER app\nWORKDIR /w\nRUN id -u > /tmp/u',
    files: { a: 'a' },
  },
  {
    name: 'a target that ends with a dot',
    dockerfile: 'FROM scratch\nCOPY a.txt /d/.\nCOPY dir /e/.\nCOPY a.txt /e/./x/.',
    files: TREE,
  },
  {
    name: 'sources that end with a dot',
    dockerfile: 'FROM scratch\nCOPY dir/. /1\nCOPY ./dir/./ /2\nCOPY . /3',
    files: TREE,
  },
  { name: 'a source of dots above the root', dockerfile: 'FROM scratch\nCOPY .. /1\nCOPY ../../dir /2', files: TREE },
  { name: 'one file twice', dockerfile: 'FROM scratch\nCOPY a.txt a.txt /1/\nCOPY a.txt ./a.txt a* /2/', files: TREE },
  {
    name: 'files of one name from two directories',
    dockerfile: 'FROM scratch\nCOPY p/f q/f /1/\nCOPY */f /2/',
    files: { 'p/f': 'p', 'q/f': 'q' },
  },
  {
    name: 'a directory and a file of one name',
    dockerfile: 'FROM scratch\nCOPY p/x q /1/',
    files: { 'p/x': 'file', 'q/x/y': 'y' },
  },
  {
    name: 'hidden files',
    dockerfile: 'FROM scratch\nCOPY .* /1/\nCOPY * /2/\nCOPY d/. /3/',
    files: { '.a': '', '.b/c': '', 'd/.e': '', f: '' },
  },
  {
    name: 'names with percent, quotes and dollars',
    dockerfile: 'FROM scratch\nCOPY . /1/\nCOPY 100%.txt /2/\nCOPY \\$x /3/\nCOPY ["a\\"b", "/4/"]',
    files: { '100%.txt': '', $x: '', 'a"b': '', "c'd": '', 'e\\f': '', 'g\nh': '' },
  },
  {
    name: 'long names and deep paths',
    dockerfile: `FROM scratch\nCOPY . /1/\nCOPY ${'d/'.repeat(60)}f /${'e/'.repeat(80)}`,
    files: { [`${'d/'.repeat(60)}f`]: 'deep', ['n'.repeat(200)]: 'long' },
  },
  {
    name: 'a large and an empty file',
    dockerfile: 'FROM scratch\nCOPY . /1/',
    prepare: 'head -c 3000000 /dev/zero > big; : > empty; truncate -s 2M sparse',
  },
  {
    name: 'modes of files without any right',
    dockerfile: 'FROM @base\nCOPY a d /1/\nRUN cp -a /1 /2',
    files: { a: 'a', 'd/x': 'x' },
    prepare: 'chmod 0 a d/x; chmod 111 d',
  },
  {
    name: 'COPY of only a Dockerfile and an ignore file',
    dockerfile: 'FROM scratch\nCOPY Dockerfile .dockerignore /x/',
    files: { '.dockerignore': 'a\n' },
  },
  {
    name: 'stages in a diamond',
    dockerfile:
      'FROM @base AS a\nRUN echo a > /a\nFROM a AS b\nRUN echo b > /b\nFROM a AS c\nRUN echo c > /c\nFROM b\nCOPY --from=c /c /c\nRUN cat /a /b /c > /all',
  },
  {
    name: 'stages by number, with names between',
    dockerfile:
      'FROM scratch\nCOPY a.txt /0\nFROM scratch AS one\nCOPY b.txt /1\nFROM scratch\nCOPY --from=0 /0 /x\nCOPY --from=1 /1 /y\nCOPY --from=one /1 /z',
    files: TREE,
  },
  {
    name: 'a stage named like a number is none',
    dockerfile: 'FROM scratch AS a1\nCOPY a.txt /f\nFROM scratch\nCOPY --from=A1 /f /f',
    files: TREE,
  },
  {
    name: 'names of stages with dots and dashes',
    dockerfile:
      'FROM scratch AS a.b-c_d\nCOPY a.txt /f\nFROM a.b-c_d AS e\nFROM scratch\nCOPY --from=a.b-c_d /f /1\nCOPY --from=e /f /2',
    files: TREE,
  },
  {
    name: 'the target stage before stages that are broken',
    dockerfile: 'FROM scratch AS a\nCOPY a.txt /\nFROM scratch AS b\nCOPY none /\nFROM a\nCOPY --from=b / /',
    files: TREE,
    args: ['--target=a'],
  },
  {
    name: 'ONBUILD of a stage with arguments of the child',
    dockerfile:
      'ARG g=global\nFROM @base AS b\nARG p=parent\nONBUILD ARG g\nONBUILD RUN echo "$p $g $c" > /x\nFROM b\nARG c=child\nRUN echo "$p $g $c" > /y',
  },
  {
    name: 'ONBUILD in two generations',
    dockerfile:
      'FROM @base AS a\nONBUILD RUN echo a >> /log\nFROM a AS b\nONBUILD RUN echo b >> /log\nFROM b AS c\nRUN echo c >> /log',
  },
  {
    name: 'ONBUILD with a COPY of a later name',
    dockerfile: 'FROM @base AS tool\nRUN echo t > /t\nFROM @base AS b\nONBUILD COPY --from=tool /t /t\nFROM b',
  },
  {
    name: 'ENV of a base in FROM, RUN and COPY of the child',
    dockerfile:
      'FROM @base AS b\nENV D=/opt/x F=a.txt\nWORKDIR $D\nFROM b\nCOPY ${F} ./\nRUN pwd > where; echo $D/$F >> where\nENV D=$D/y\nWORKDIR $D',
    files: TREE,
  },
  {
    name: 'ARG in COPY --from stages, destinations and users',
    dockerfile:
      'ARG U=5\nFROM scratch AS s\nARG N=f\nCOPY a.txt /$N\nFROM scratch\nARG U G=6 N=f\nCOPY --from=s --chown=$U:$G /${N} /${N}x\nUSER $U\nLABEL u=$U',
    files: TREE,
  },
  {
    name: 'quotes within words of ENV, LABEL and ARG',
    dockerfile: 'FROM scratch\nARG a=b"c d"e\nENV f=g\'h i\'j"$a"k l="m"\'n\'"o"\nLABEL p=q"r s"t u=\'v "w" x\'',
  },
  {
    name: 'dollars in quotes',
    dockerfile:
      'FROM scratch\nENV a=1 b=\'$a\' c="\'$a\'" d=\\$a e="\\${a}" f=$$a g="$"a h=${a}$ i="a$" j=\'it\'"\'"\'s\'',
  },
  {
    name: 'tabs and blanks between words',
    dockerfile: 'FROM\tscratch\nENV\ta=1\t \tb=2\nLABEL   c=d   \nCOPY  \ta.txt\t\t/x  \nEXPOSE \t1\t2 ',
    files: TREE,
  },
  {
    name: 'instructions that are indented',
    dockerfile: '  FROM scratch\n\tENV a=1\n   # a comment\n     LABEL b=2 \\\n  c=3',
  },
  {
    name: 'comments that look like continuations',
    dockerfile: 'FROM scratch\n# a \\\nENV a=1\nENV b=2 \\\n# c \\\n  d=3',
  },
  { name: 'several blank lines and no newline at the end', dockerfile: '\n\nFROM scratch\n\n\nENV a=1\n\n\nENV b=2' },
  {
    name: 'RUN over lines with an inline comment and a heredoc',
    dockerfile: 'FROM @base\nRUN echo a && \\\n  # comment\n  cat <<EOF > /x && \\\n  echo b > /y\nline\nEOF',
  },
  {
    name: 'CMD and ENTRYPOINT with lines and quotes',
    dockerfile: 'FROM scratch\nCMD [ "a", \\\n  "b c" , "d" ]\nENTRYPOINT ["x" ,\\\n"y"]',
  },
  {
    name: 'JSON with spaces behind, and with more behind',
    dockerfile: 'FROM scratch\nCMD ["a"]   \nENTRYPOINT ["a"] b',
  },
  { name: 'JSON that is an object', dockerfile: 'FROM scratch\nCMD {"a": "b"}' },
  { name: 'nested JSON', dockerfile: 'FROM scratch\nCMD ["a", ["b"]]' },
  {
    name: 'RUN in JSON with variables and a shell',
    dockerfile:
      'FROM @base\nENV a=1\nSHELL ["/bin/busybox", "sh", "-c"]\nRUN ["/bin/sh", "-c", "echo $a $0 > /x", "$a"]\nRUN echo $0 > /y',
  },
  {
    name: 'VOLUME, WORKDIR and USER after each other',
    dockerfile:
      'FROM @base\nUSER app\nWORKDIR /v\nVOLUME /v\nRUN touch /v/x\nUSER root\nRUN chown 0:0 /v\nUSER 12:34\nWORKDIR /v/in\nCOPY --chown=56 a.txt .',
    files: TREE,
  },
  {
    name: 'an ADD, a COPY and heredocs into one directory',
    dockerfile: 'FROM scratch\nADD a.txt dir /d/\nCOPY <<x b.txt <<y /d/\n1\nx\n2\ny\nADD --chown=3 <<z /d/z2\n3\nz',
    files: TREE,
  },
  {
    name: 'a heredoc over a file, a link and a directory',
    dockerfile:
      'FROM @base\nRUN mkdir -p /d /e && echo o > /d/f && ln -s /d/f /d/l\nCOPY <<f /d/\nnew\nf\nCOPY <<x /d/l\nthrough\nx\nCOPY <<y /e\nin\ny',
  },
  {
    name: 'a heredoc with --link, modes and owners',
    dockerfile:
      'FROM @base\nCOPY --link --chmod=0711 --chown=5:6 <<x /p/q/r\nt\nx\nCOPY --chmod=u=rwx,go= <<y /s/\nt\ny',
  },
  {
    name: 'a heredoc whose name has a variable',
    dockerfile: 'FROM scratch\nENV n=name\nCOPY <<$n /d/\ntext $n\n$n\nCOPY <<a"b"c /e/\ntext\nabc',
  },
  {
    name: 'RUN of heredocs with set -e, pipes and functions',
    dockerfile:
      'FROM @base\nRUN <<EOF\nset -eu\nf() { echo "$1" | tr a-z A-Z; }\nf hello > /x\nfor i in 1 2 3; do\n  echo $i >> /x\ndone\ncat <<INNER >> /x\ninner $HOME\nINNER\nEOF',
  },
  {
    name: 'RUN with a file that a heredoc names',
    dockerfile: 'FROM @base\nRUN cat <<one <<two - > /x\n1\none\n2\ntwo',
  },
  {
    name: 'a tmpfs, a cache and a bind below each other',
    dockerfile:
      'FROM @base\nWORKDIR /w\nRUN --mount=type=tmpfs,target=/w/t --mount=type=cache,target=/w/t/c --mount=target=/w/t/b touch t/x t/c/y && ls t t/c t/b > /o && touch /w/kept\nRUN ls -R /w > /o2',
    files: { a: 'a' },
  },
  {
    name: 'a bind mount of a file that is written',
    dockerfile:
      'FROM @base\nRUN --mount=source=a.txt,target=/w/f,rw echo x >> /w/f && cat /w/f > /o\nRUN --mount=source=a.txt,target=/w/f cat /w/f > /o2 && ! touch /w/f',
    files: TREE,
  },
  {
    name: 'a mount over a link',
    dockerfile: 'FROM @base\nRUN mkdir /real && ln -s /real /l && touch /real/x\nRUN --mount=target=/l ls /real > /o',
    files: { a: 'a' },
  },
  {
    name: 'a mount point that a step removes',
    dockerfile: 'FROM @base\nRUN mkdir /m && touch /m/x\nRUN --mount=type=tmpfs,target=/m/t rm /m/x; ls /m > /o',
  },
  {
    name: 'a base with a mount point as a link to nothing',
    dockerfile:
      'FROM @base\nRUN ln -s /nowhere/x /m\nRUN --mount=type=cache,target=/m touch /m/y; ls -d /nowhere/x > /o',
  },
  {
    name: 'files beside secrets',
    dockerfile:
      'FROM @base\nRUN --mount=type=secret,id=s touch /run/secrets/other; mkdir -p /run/x\nRUN --mount=type=secret,id=s,target=/etc/s cat /etc/s | wc -c > /o',
    args: ['--secret', 'id=s,env=S'],
    env: { S: 'four' },
  },
  {
    name: 'devices and pipes made by steps, copied on',
    dockerfile:
      'FROM @base AS s\nRUN mkdir /d && mknod /d/n c 1 3 && mkfifo /d/p && chmod 640 /d/n && chown 3:4 /d/p\nFROM scratch\nCOPY --from=s /d /d\nCOPY --from=s --chmod=600 --chown=5 /d /e',
  },
  {
    name: 'a step that changes the modes of system directories',
    dockerfile:
      'FROM @base\nRUN chmod 700 /etc /var && chown 5:5 /tmp && chmod 1770 /root\nCOPY a.txt /etc/\nCOPY a.txt /tmp/',
    files: TREE,
  },
  {
    name: 'ignore and wildcards and excludes together',
    dockerfile: 'FROM scratch\nCOPY --exclude=*.log --exclude=**/tmp d* *.txt /1/\nADD --exclude=x d /2/',
    files: {
      '.dockerignore': '**/*.md\n!d/keep.md\n',
      'a.txt': '',
      'b.md': '',
      'd/keep.md': '',
      'd/c.md': '',
      'd/e.log': '',
      'd/tmp/f': '',
      'd/x': '',
      'dd/tmp/y': '',
    },
    newer: true,
  },
  {
    name: 'a base whose resolv.conf and hosts are links to nothing',
    dockerfile:
      'FROM @base\nCOPY etc /etc\nRUN test -s /etc/resolv.conf && ls -d /run/systemd/resolve > /o\nRUN ls /run /elsewhere > /o2 2>&1; true',
    files: {},
    prepare:
      'mkdir etc; ln -s ../run/systemd/resolve/stub-resolv.conf etc/resolv.conf; ln -s /elsewhere/hosts etc/hosts',
  },
];
