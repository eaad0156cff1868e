import type { LanguageCase } from './types.ts';

export const RUN_CASES: readonly LanguageCase[] = [
  {
    name: 'the exec form knows no shell',
    dockerfile: 'FROM @base\nRUN ["touch", "/$HOME", "/a b"]\nRUN [ "/bin/busybox","touch" , "/c" ]',
  },
  {
    name: 'an exec form that is no JSON is a command',
    dockerfile: 'FROM @base\nRUN [ -e /etc/passwd ] && touch /a\nRUN [ "a" = \'a\' ] && touch /b',
  },
  { name: 'RUN of nothing', dockerfile: 'FROM @base\nRUN' },
  { name: 'RUN of an empty list', dockerfile: 'FROM @base\nRUN []' },
  { name: 'RUN that fails', dockerfile: 'FROM @base\nRUN exit 3' },
  { name: 'RUN of a program that is not there', dockerfile: 'FROM @base\nRUN ["/none"]' },
  { name: 'RUN on nothing', dockerfile: 'FROM scratch\nRUN true' },
  {
    name: 'quotes and lines of a command stay as they are',
    dockerfile: 'FROM @base\nRUN echo "a  b"  \'c\' \\\n  d > /x; \\\n  printf "%s\\n" e\\ f \\\n# comment\n\n  >> /x',
  },
  {
    name: 'what a step leaves: kinds, modes, owners',
    dockerfile:
      'FROM @base\nRUN umask 027; mkdir -p /d/e; touch /d/f; ln -s f /d/l; ln /d/f /d/h; mkfifo /d/p; mknod /d/c c 1 3; mknod /d/b b 7 0; chmod 6711 /d/f; chmod 1777 /d/e; chown 12345:54321 /d/l -h /d/e',
  },
  {
    name: 'what a step takes away',
    dockerfile:
      'FROM @base\nRUN mkdir -p /a/b/c && touch /a/b/c/f /a/g\nRUN rm -r /a/b\nRUN rm /a/g /etc/group && mkdir /a/b && touch /a/b/n\nRUN rm -rf /a && mkdir /a',
  },
  {
    name: 'a directory that becomes a file, and a file that becomes a directory',
    dockerfile:
      'FROM @base\nRUN mkdir /a && touch /a/x /b\nRUN rm -r /a /b && touch /a && mkdir /b && touch /b/y && rm -r /tmp && ln -s /b /tmp',
  },
  { name: 'a directory that is renamed', dockerfile: 'FROM @base\nRUN mkdir /a && touch /a/x\nRUN mv /a /c' },
  {
    name: 'only the mode or the owner changes',
    dockerfile: 'FROM @base\nCOPY a /a\nRUN chmod 700 /a\nRUN chown 5 /a && chmod 711 /root',
    files: { a: 'a' },
  },
  {
    name: 'a capability that a step gives',
    dockerfile: 'FROM @base\nCOPY a /a\nRUN cp /a /b',
    files: { a: 'a' },
    prepare: 'setcap cap_net_raw+ep a',
  },
  {
    name: 'nothing of the sandbox is left',
    dockerfile: 'FROM @base\nRUN ls -A /dev /run /sys > /dev/null; cat /etc/resolv.conf /etc/hosts > /dev/null; true',
  },
  {
    name: 'nothing of the mounts is left',
    dockerfile:
      'FROM @base\nRUN --mount=type=cache,target=/c/d --mount=type=tmpfs,target=/t/u --mount=type=bind,target=/b/c/d --mount=type=secret,id=s,target=/s/t true\nRUN mkdir -p /k\nRUN --mount=type=cache,target=/k/l true',
    args: ['--secret', 'id=s,env=S'],
    env: { S: 'x' },
  },
  {
    name: 'a file beside a mount keeps its directory',
    dockerfile: 'FROM @base\nRUN --mount=type=cache,target=/c/d touch /c/f /c/d/g',
  },
  {
    name: 'what a step writes to /etc/hosts and /etc/resolv.conf',
    dockerfile: 'FROM @base\nRUN echo "# x" >> /etc/hosts; echo 1 > /etc/own',
  },
  {
    name: 'bind mounts read the context, a stage and an image',
    dockerfile:
      'FROM @base AS s\nRUN mkdir -p /o/p && echo s > /o/p/f\nFROM @base\nRUN --mount=target=/ctx cat /ctx/a > /1\nRUN --mount=type=bind,source=d,target=/d ls /d > /2\nRUN --mount=type=bind,from=s,src=/o,dst=/o cat /o/p/f > /3\nRUN --mount=type=bind,from=@base,source=/etc/passwd,target=/pw head -n 1 /pw > /4\nRUN --mount=type=bind,from=s,source=o/p/f,destination=/file cat /file > /5\nRUN --mount=from=s,target=/s,source=/o/p ls /s > /6',
    files: { a: 'a', 'd/x': 'x' },
  },
  {
    name: 'bind mounts cannot be written unless they say so, and nothing stays',
    dockerfile:
      'FROM @base\nRUN --mount=target=/ctx ! touch /ctx/new\nRUN --mount=target=/ctx,rw echo new > /ctx/new && rm /ctx/a && ls /ctx > /1\nRUN --mount=target=/ctx ls /ctx > /2\nRUN --mount=target=/ctx,readwrite=true touch /ctx/y\nRUN --mount=target=/ctx,rw=false ! touch /ctx/y\nRUN --mount=target=/ctx,ro=false touch /ctx/y',
    files: { a: 'a' },
  },
  {
    name: 'a bind mount of a path that is not there',
    dockerfile: 'FROM @base\nRUN --mount=source=none,target=/n true',
  },
  {
    name: 'a bind mount of a link',
    dockerfile: 'FROM @base\nRUN --mount=source=l,target=/n cat /n > /1\nRUN --mount=source=dl,target=/n ls /n > /2',
    files: { a: 'a', 'd/x': '' },
    prepare: 'ln -s a l; ln -s d dl',
  },
  {
    name: 'a bind mount over files of the image',
    dockerfile:
      'FROM @base\nRUN --mount=source=d,target=/etc ls /etc > /1\nRUN --mount=source=a,target=/etc/passwd cat /etc/passwd > /2',
    files: { a: 'a', 'd/x': '' },
  },
  {
    name: 'a mount below WORKDIR',
    dockerfile:
      'FROM @base\nWORKDIR /w\nRUN --mount=target=ctx ls ctx > /1\nRUN --mount=type=cache,target=./c touch c/f && ls /w/c > /2\nRUN --mount=type=tmpfs,target=t touch /w/t/x',
    files: { a: 'a' },
  },
  {
    name: 'mounts on mounts',
    dockerfile:
      'FROM @base\nRUN --mount=type=tmpfs,target=/t --mount=target=/t/ctx --mount=type=tmpfs,target=/t/u ls /t > /1 && cat /t/ctx/a > /2',
    files: { a: 'a' },
  },
  {
    name: 'the same target twice',
    dockerfile: 'FROM @base\nRUN --mount=type=tmpfs,target=/t --mount=target=/t ls /t > /1',
    files: { a: 'a' },
  },
  {
    name: 'a cache lives between steps and stages',
    dockerfile:
      'FROM @base AS s\nRUN --mount=type=cache,target=/c echo 1 > /c/f\nFROM @base\nCOPY --from=s /etc/passwd /pw\nRUN --mount=type=cache,target=/c cat /c/f > /1\nRUN --mount=type=cache,id=/c,target=/other cat /other/f > /2\nRUN --mount=type=cache,id=other,target=/c ls /c > /3\nRUN --mount=type=cache,target=/c/ ls /c > /4\nRUN --mount=type=cache,target=//c/../c ls /c > /5',
  },
  {
    name: 'a cache has the mode and the owner that it is given',
    dockerfile:
      'FROM @base\nRUN --mount=type=cache,target=/1 stat -c "%a %u %g" /1 > /o\nRUN --mount=type=cache,target=/2,mode=0700,uid=5,gid=6 stat -c "%a %u %g" /2 >> /o\nRUN --mount=type=cache,target=/3,uid=7 stat -c "%a %u %g" /3 >> /o\nRUN --mount=type=cache,target=/4,mode=0750 stat -c "%a %u %g" /4 >> /o\nUSER 7\nRUN --mount=type=cache,target=/3,uid=7 touch /3/x',
  },
  {
    name: 'a cache that is filled from a stage',
    dockerfile:
      'FROM @base AS s\nRUN mkdir -p /o/p && echo s > /o/p/f && chmod 750 /o/p && chown 3:4 /o/p\nFROM @base\nRUN --mount=type=cache,from=s,source=/o,target=/c cat /c/p/f > /1 && stat -c "%a %u" /c/p >> /1 && echo t > /c/p/f\nRUN --mount=type=cache,from=s,source=/o,target=/c cat /c/p/f > /2\nRUN --mount=type=cache,target=/c ls /c > /3\nRUN --mount=type=cache,from=s,source=/o/p,target=/c cat /c/f > /4',
  },
  {
    name: 'a cache that is only read',
    dockerfile:
      'FROM @base\nRUN --mount=type=cache,target=/c touch /c/f\nRUN --mount=type=cache,target=/c,ro ! touch /c/g\nRUN --mount=type=cache,target=/c,readonly=true ls /c > /1',
  },
  {
    name: 'a cache that is private, or locked',
    dockerfile:
      'FROM @base\nRUN --mount=type=cache,target=/c,sharing=private touch /c/f\nRUN --mount=type=cache,target=/c,sharing=locked ls /c > /1\nRUN --mount=type=cache,target=/c,sharing=shared ls /c > /2',
  },
  {
    name: 'a cache of a sharing that is none',
    dockerfile: 'FROM @base\nRUN --mount=type=cache,target=/c,sharing=some true',
  },
  { name: 'a cache without a target', dockerfile: 'FROM @base\nRUN --mount=type=cache,id=x true' },
  { name: 'a cache whose mode is none', dockerfile: 'FROM @base\nRUN --mount=type=cache,target=/c,mode=abc true' },
  {
    name: 'a cache whose id climbs',
    dockerfile:
      'FROM @base\nRUN --mount=type=cache,target=/c,id=../../x touch /c/f\nRUN --mount=type=cache,target=/d,id=../../x ls /d > /1',
  },
  {
    name: 'a tmpfs is empty and gone',
    dockerfile:
      'FROM @base\nRUN --mount=type=tmpfs,target=/etc ls /etc > /1 && touch /etc/x\nRUN --mount=type=tmpfs,size=1m,target=/t dd if=/dev/zero of=/t/f bs=1k count=2000 2> /dev/null || echo full > /2\nRUN test -e /etc/passwd',
  },
  { name: 'a size before its type', dockerfile: 'FROM @base\nRUN --mount=size=1m,type=tmpfs,target=/t true' },
  { name: 'a size that is none', dockerfile: 'FROM @base\nRUN --mount=type=tmpfs,size=abc,target=/t true' },
  {
    name: 'secrets as files',
    dockerfile:
      'FROM @base\nRUN --mount=type=secret,id=s stat -c "%a %u %g" /run/secrets/s > /1; test "$(cat /run/secrets/s)" = sekrit\nRUN --mount=type=secret,id=s,target=/x/y,mode=0444,uid=5,gid=6 stat -c "%a %u %g" /x/y > /2\nRUN --mount=type=secret,source=s,dst=rel test -e /rel || test -e /run/secrets/rel\nWORKDIR /w\nRUN --mount=type=secret,id=s,target=rel test -e rel\nRUN ls /run /x 2>&1 | wc -l > /3; test ! -e /x',
    args: ['--secret', 'id=s,env=S'],
    env: { S: 'sekrit' },
  },
  {
    name: 'secrets as variables',
    dockerfile:
      'FROM @base\nRUN --mount=type=secret,id=s,env=T test "$T" = sekrit && test ! -e /run/secrets/s && echo ok > /1\nRUN --mount=type=secret,id=s,env=T,target=/f test "$T" = sekrit && test -e /f && echo ok > /2\nRUN --mount=type=secret,id=s,env=T test "$T" = sekrit\nENV T=own\nRUN --mount=type=secret,id=s,env=T test "$T" = sekrit\nRUN echo "$T" > /3',
    args: ['--secret', 'id=s,env=S'],
    env: { S: 'sekrit' },
  },
  {
    name: 'a secret from a file, by the short form',
    dockerfile: 'FROM @base\nRUN --mount=type=secret,id=s wc -c < /run/secrets/s > /1',
    args: ['--secret', 'id=s,src=@ctx/a'],
    files: { a: 'a\n' },
  },
  {
    name: 'a secret that is not there is left out',
    dockerfile:
      'FROM @base\nRUN --mount=type=secret,id=none test ! -e /run/secrets/none\nRUN --mount=type=secret,id=none,env=N test -z "$N"\nRUN --mount=type=secret,id=none,required=false true',
  },
  { name: 'a secret that has to be there', dockerfile: 'FROM @base\nRUN --mount=type=secret,id=none,required true' },
  { name: 'a secret without a name', dockerfile: 'FROM @base\nRUN --mount=type=secret true' },
  {
    name: 'a secret with its name from the target',
    dockerfile: 'FROM @base\nRUN --mount=type=secret,target=/x/s test -e /x/s',
    args: ['--secret', 'id=s,env=S'],
    env: { S: 'sekrit' },
  },
  { name: 'an agent that has to be there', dockerfile: 'FROM @base\nRUN --mount=type=ssh,required true' },
  {
    name: 'an agent that is not there is left out',
    dockerfile: 'FROM @base\nRUN --mount=type=ssh echo "<$SSH_AUTH_SOCK>" > /1; ls -d /run/* > /2; true',
  },
  { name: 'a mount onto the root', dockerfile: 'FROM @base\nRUN --mount=type=tmpfs,target=/ true' },
  { name: 'a bind mount onto the root', dockerfile: 'FROM @base\nRUN --mount=target=/ true' },
  { name: 'a mount onto the root through dots', dockerfile: 'FROM @base\nRUN --mount=type=cache,target=/a/../.. true' },
  {
    name: 'a mount target with dots',
    dockerfile: 'FROM @base\nRUN --mount=type=tmpfs,target=/a/../../b touch /b/f && ls /b > /1',
  },
  {
    name: 'a mount target through a link of the image',
    dockerfile:
      'FROM @base\nRUN mkdir /real && ln -s /real /l && ln -s ../../../../x /up\nRUN --mount=type=tmpfs,target=/l/t touch /real/t/f && ls /l/t > /1',
  },
  { name: 'a mount of an unknown type', dockerfile: 'FROM @base\nRUN --mount=type=none,target=/x true' },
  { name: 'a mount with an unknown key', dockerfile: 'FROM @base\nRUN --mount=type=cache,target=/x,foo=bar true' },
  {
    name: 'a mount with a key of another type',
    dockerfile: 'FROM @base\nRUN --mount=type=bind,target=/x,sharing=locked true',
  },
  {
    name: 'a mount from a variable',
    dockerfile: 'FROM @base AS s\nFROM @base\nARG F=s\nRUN --mount=from=$F,target=/x true',
  },
  {
    name: 'a mount from a stage that is not there yet',
    dockerfile: 'FROM @base AS one\nRUN --mount=from=two,target=/x true\nFROM @base AS two\nRUN true',
    args: ['--target', 'one'],
  },
  {
    name: 'values in mounts',
    dockerfile:
      'FROM @base\nARG T=/t I=id M=0711\nENV S=a\nRUN --mount=source=$S,target=${T}x cat /tx > /1\nRUN --mount=type=cache,target=$T,id=$I,mode=$M stat -c %a /t > /2\nRUN --mount=type=$NONE,target=/x true',
    files: { a: 'a' },
  },
  {
    name: 'keys of mounts in any case, in quotes',
    dockerfile:
      'FROM @base\nRUN --mount=Type=tmpfs,TARGET=/t touch /t/x\nRUN --mount=\'type=tmpfs,target=/t u\' touch "/t u/x" || true\nRUN "--mount=type=tmpfs,target=/x" true || true',
  },
  { name: 'a quoted field of a mount', dockerfile: 'FROM @base\nRUN --mount=type=tmpfs,"target=/a,b" touch "/a,b/x"' },
  {
    name: 'flags of RUN in any order',
    dockerfile:
      'FROM @base\nRUN --network=none --security=sandbox --mount=type=tmpfs,target=/t ls /t > /1\nRUN --network=default true',
    newer: true,
  },
  {
    name: 'no network at all',
    dockerfile: 'FROM @base\nRUN --network=none ls /sys/class/net | grep -v lo | wc -l > /1',
  },
  { name: 'a network that is none', dockerfile: 'FROM @base\nRUN --network=some true' },
  { name: 'a security that is none', dockerfile: 'FROM @base\nRUN --security=some true' },
  { name: 'an insecure step that is not allowed', dockerfile: 'FROM @base\nRUN --security=insecure true' },
  {
    name: 'limits and shared memory',
    dockerfile: "FROM @base\nRUN ulimit -n > /1; df -k /dev/shm | tail -n 1 | awk '{print $2}' > /2",
    args: ['--ulimit', 'nofile=1000:2000', '--shm-size', '10m'],
  },
  {
    name: 'more hosts',
    dockerfile: 'FROM @base\nRUN grep -w given /etc/hosts | tr "\\t" " " > /1',
    args: ['--add-host', 'given:10.1.2.3', '--add-host', 'given:fd00::1'],
  },
  {
    name: 'devices of a step',
    dockerfile:
      'FROM @base\nRUN ls /dev | grep -v core > /1; echo x > /dev/null; head -c 1 /dev/zero | wc -c > /2; ls -l /dev/stdin /dev/fd | wc -l > /3',
  },
  {
    name: 'a step’s capabilities',
    dockerfile: 'FROM @base\nRUN grep Cap /proc/self/status > /1\nUSER 5\nRUN grep Cap /proc/self/status > /tmp/2',
  },
  {
    name: 'a step’s variables',
    dockerfile: 'FROM @base\nENV A=1\nARG B=2\nRUN env | grep -v ^PWD= | grep -v ^SHLVL= | sort > /1',
  },
  { name: 'a step has nothing on its input', dockerfile: 'FROM @base\nRUN cat > /1' },
  { name: 'a process that a step leaves ends with it', dockerfile: 'FROM @base\nRUN sleep 1000 & echo $$ > /1' },

  {
    name: 'heredocs are files, named by their word',
    dockerfile:
      'FROM @base\nARG v=1\nCOPY <<one <<"two" <<\'three.txt\' /d/\n$v "${v}" \\$v \\\none\n$v \\$v\ntwo\n\'$v\'\nthree.txt\nCOPY <<x /y\nx\nADD --chown=5:6 --chmod=711 <<x a /z/\n$none|${none:-d}\nx',
    files: { a: 'a' },
  },
  {
    name: 'heredocs lose their tabs with a dash',
    dockerfile: 'FROM scratch\nCOPY <<-a <<-"b" /d/\n\tone\n\t\ttwo\n  three\n\ta\n\tfour\n\tb',
  },
  {
    name: 'heredocs keep blank lines, comments and escapes',
    dockerfile: 'FROM scratch\nCOPY <<a /d\n\n# a comment\n  x \\\n  y\n\na\nCOPY <<b /e\nb',
  },
  {
    name: 'a heredoc of a command is its script',
    dockerfile: 'FROM @base\nRUN <<EOF\necho "$0 $HOME" > /1\nfalse\necho done >> /1\nEOF',
  },
  { name: 'a heredoc of a command stops with set -e', dockerfile: 'FROM @base\nRUN <<EOF\nset -e\nfalse\ntrue\nEOF' },
  {
    name: 'a heredoc with its own interpreter',
    dockerfile:
      'FROM @base\nRUN <<EOF\n#!/bin/awk -f\nBEGIN { print "from awk" > "/1" }\nEOF\nRUN <<EOF\n#!/bin/sh\necho "$0" | sed "s/.*\\///" > /2\nEOF',
  },
  {
    name: 'heredocs as input of commands',
    dockerfile:
      'FROM @base\nRUN cat <<a > /1 && cat <<"b" > /2\nx $HOME\na\ny $HOME\nb\nRUN sh <<EOF\necho z > /3\nEOF\nRUN <<EOF cat > /4\nw\nEOF',
  },
  {
    name: 'heredocs in another shell',
    dockerfile: 'FROM @base\nSHELL ["/bin/sh", "-euc"]\nRUN <<EOF\necho $- | grep -o u > /1\nEOF',
  },
  {
    name: 'a heredoc with mounts and a user',
    dockerfile:
      'FROM @base\nUSER app\nRUN --mount=target=/c --network=none <<EOF\ncat /c/a > /tmp/1\nid -u >> /tmp/1\nEOF',
    files: { a: 'a' },
  },
  { name: 'a heredoc that is left open', dockerfile: 'FROM @base\nRUN <<EOF\ntrue' },
  { name: 'two heredocs of which one is left open', dockerfile: 'FROM @base\nCOPY <<a <<b /d/\nx\na\ny' },
  { name: 'a heredoc in quotes is none', dockerfile: 'FROM @base\nRUN echo "<<EOF" > /1\nRUN echo \'<<EOF\' > /2' },
  { name: 'a heredoc in the JSON form is none', dockerfile: 'FROM scratch\nCOPY ["<<EOF", "/x"]' },
  { name: 'a heredoc of an instruction without them', dockerfile: 'FROM scratch\nENV a=<<EOF\nLABEL b=1' },
  {
    name: 'a heredoc beside files, with --from',
    dockerfile: 'FROM scratch AS s\nFROM scratch\nCOPY --from=s <<EOF /x\na\nEOF',
  },
  { name: 'a heredoc with a path as its word', dockerfile: 'FROM scratch\nCOPY <<a/b /x/\nt\na/b' },
  {
    name: 'a heredoc with a number before it',
    dockerfile: 'FROM @base\nRUN cat 0<<EOF > /1\nx\nEOF\nRUN cat 3<<EOF <&3 > /2\ny\nEOF',
  },
  {
    name: 'a heredoc in the middle of the words',
    dockerfile: 'FROM @base\nRUN cat - <<EOF /etc/group > /1; echo end >> /1\nx\nEOF',
  },
  {
    name: 'a heredoc over carriage returns',
    dockerfile: 'FROM scratch\r\nCOPY <<EOF /x\r\na\r\nb\r\nEOF\r\nENV a=1\r\n',
  },
  { name: 'three less-than signs', dockerfile: 'FROM @base\nRUN cat <<<EOF || true' },
];
