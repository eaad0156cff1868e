/**
 * Builds that must give the same files and config on both engines. `BASE` in a Dockerfile is a busybox in a registry.
 * What may differ, and why, is in docs/engines.md.
 */
export interface EngineCase {
  readonly name: string;
  readonly dockerfile: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Made in the context by this shell script, run in it. */
  readonly prepare?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default: this machine's. */
  readonly platforms?: readonly string[];
}

export const ENGINE_CASES: readonly EngineCase[] = [
  {
    name: 'several stages, of which one is not needed',
    dockerfile: `FROM BASE AS build
WORKDIR /work
COPY input.txt .
RUN tr a-z A-Z < input.txt > output.txt && dd if=/dev/zero of=waste bs=1k count=64 2>/dev/null
FROM BASE AS unneeded
RUN exit 1
FROM BASE
COPY --from=build /work/output.txt /output.txt
ENV GREETING=hello
CMD ["cat", "/output.txt"]`,
    files: { 'input.txt': 'made of two stages\n' },
  },
  {
    name: 'every instruction that sets metadata',
    dockerfile: `FROM BASE
ARG VERSION=1.2
ENV A=1 B="two words" VERSION=$VERSION
LABEL org.example.name="x y" version=\${VERSION}
EXPOSE 80 443/udp
VOLUME ["/data", "/logs"]
USER app:extra
WORKDIR /srv/app
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --retries=2 CMD test -e /tmp
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT ["/bin/echo"]
CMD ["hello"]
ONBUILD RUN echo later`,
    args: ['--build-arg', 'VERSION=2.0', '--label', 'from=flag'],
  },
  {
    name: 'COPY in its many forms',
    dockerfile: `FROM BASE
COPY a.txt b.txt /many/
COPY dir /whole
COPY dir/ /slash/
COPY *.txt /wild/
COPY --chmod=0640 --chown=1000:2000 a.txt /owned/x
COPY --chown=app dir /named
COPY link /followed
COPY ["with space.txt", "/space dir/"]
COPY --exclude=*.md dir /excluded
COPY --parents dir/sub/deep.txt /parents/
COPY missing* a.txt /optional/
WORKDIR /rel
COPY a.txt ./here/`,
    files: {
      'a.txt': 'a',
      'b.txt': 'b',
      'dir/one': '1',
      'dir/readme.md': 'md',
      'dir/sub/deep.txt': 'deep',
      'with space.txt': 's',
    },
    prepare:
      'ln -s a.txt link; chmod 755 dir/one; ln dir/one dir/again; ln -s sub/deep.txt dir/inner; mkdir dir/empty; chmod 700 dir/empty',
  },
  {
    name: 'what .dockerignore excludes, and takes in again',
    dockerfile: 'FROM BASE\nCOPY . /ctx/',
    files: {
      '.dockerignore': '# comment\n*.log\nnode_modules\nbuild/*\n!build/keep.txt\n**/tmp\n!**/tmp/x\n',
      'a.log': 'no',
      'src/b.log': 'yes',
      'node_modules/x/y': 'no',
      'build/keep.txt': 'yes',
      'build/drop.txt': 'no',
      'src/tmp/x': 'yes',
      'src/tmp/y': 'no',
    },
  },
  {
    name: 'only the paths that are named, through links',
    dockerfile: 'FROM scratch\nCOPY current/app.txt /app.txt\nCOPY config/*.yaml /config/\nCOPY deep/way/down /down/',
    files: {
      'releases/2/app.txt': 'two',
      'releases/1/app.txt': 'one',
      'config/a.yaml': 'a',
      'config/b.json': 'b',
      'deep/way/down/x': 'x',
      'deep/way/other': 'o',
    },
    prepare:
      'ln -s releases/2 current; ln -s ../releases/1/app.txt config/linked.yaml; ln -s ../../../config/a.yaml deep/way/down/up',
  },
  {
    name: 'here-documents',
    dockerfile: `FROM BASE
COPY <<EOT <<"RAW" /texts/
home is $HOME
EOT
home is $HOME
RAW
RUN <<EOS
set -e
mkdir -p /made
echo "by $0" > /made/by
EOS
RUN <<EOS cat > /piped
some text
EOS`,
  },
  {
    name: 'ADD of archives and links',
    dockerfile:
      'FROM BASE\nADD archive.tar.gz /unpacked/\nADD --unpack=false archive.tar.gz /kept/\nADD archive.tar.gz plain.txt /both/',
    files: { 'plain.txt': 'plain' },
    prepare:
      'mkdir in; echo 1 > in/one; ln -s one in/link; ln in/one in/hard; mkdir in/d; chmod 2755 in/d; tar --sort=name --owner=5:5 --group=6:6 --mtime=@1600000000 -C in -czf archive.tar.gz .; rm -r in',
  },
  {
    name: 'RUN with mounts',
    dockerfile: `FROM BASE AS tool
RUN mkdir /tool && echo tool > /tool/name
FROM BASE
RUN --mount=type=bind,from=tool,source=/tool,target=/t cat /t/name > /seen
RUN --mount=type=bind,target=/ctx cp /ctx/x.txt /copied
RUN --mount=type=cache,target=/cache,uid=1000,mode=0700 echo 1 > /cache/f && stat -c '%u %a' /cache > /cache-mode
RUN --mount=type=tmpfs,target=/t echo 1 > /t/f && ls /t > /listed
RUN --mount=type=secret,id=token,target=/root/token,mode=0440 sha256sum /root/token > /sum
RUN --mount=type=secret,id=token,env=TOKEN echo "$TOKEN" | sha256sum > /env-sum
RUN test ! -e /t && test ! -e /root/token`,
    files: { 'x.txt': 'from the context' },
    args: ['--secret', 'id=token,env=TEST_TOKEN'],
    env: { TEST_TOKEN: 'value-of-a-secret' },
  },
  {
    name: 'users, working directories and what steps leave',
    dockerfile: `FROM BASE
RUN mkdir -p /srv && chown 1000:1000 /srv
USER 1000
WORKDIR /srv/made/here
RUN id -u > who && umask 077 && echo x > private && ln -s private link && ln private hard
USER root
RUN rm -rf /etc/group && mkdir /etc/group && touch /etc/group/inside && mknod /fifo p && chmod 4755 /srv/made/here/private`,
  },
  {
    name: 'files that later layers hide',
    dockerfile: `FROM BASE
RUN mkdir -p /a/b/c && touch /a/b/c/x /a/y /gone
RUN rm -r /a/b /gone && touch /a/z
RUN mkdir /a/b && touch /a/b/new
COPY a.txt /a`,
    files: { 'a.txt': 'over a directory goes into it' },
  },
  {
    name: 'COPY --link, over directories and links',
    dockerfile: `FROM BASE
RUN mkdir -p /opt/real && ln -s /opt/real /opt/link
COPY --link a.txt /linked/sub/
COPY --link --chown=7:8 --chmod=600 a.txt /linked/owned
COPY --link a.txt /linked/sub/second`,
    files: { 'a.txt': 'a' },
  },
  {
    name: 'a stage that stands on another, by name and number',
    dockerfile: `FROM BASE AS base
RUN echo base > /base
FROM base AS middle
COPY --from=0 /base /copied
FROM middle
COPY --from=base /base /again
RUN cat /base /copied /again > /all`,
  },
  {
    name: 'a target that is not the last stage',
    dockerfile: 'FROM BASE AS one\nRUN echo 1 > /one\nFROM BASE AS two\nRUN exit 1',
    args: ['--target', 'one'],
  },
  {
    name: 'nothing at all',
    dockerfile: 'FROM scratch\nLABEL empty=yes',
  },
  {
    name: 'SOURCE_DATE_EPOCH',
    dockerfile: 'FROM scratch\nCOPY a.txt /a.txt',
    files: { 'a.txt': 'a' },
    args: ['--build-arg', 'SOURCE_DATE_EPOCH=1500000000'],
  },
  {
    name: 'arguments that come from outside and from the file',
    dockerfile: `ARG TAG=latest
ARG WHO=nobody
FROM BASE:\${TAG}
ARG WHO
ARG LIST="a b"
RUN echo "$WHO \${LIST} \${NONE:-fallback} \${WHO:+set}" > /args
RUN echo "$TARGETPLATFORM $TARGETARCH" > /platform
ARG TARGETARCH
RUN echo "$TARGETARCH" > /arch`,
    args: ['--build-arg', 'WHO=somebody'],
  },
  {
    name: 'names that are not plain',
    dockerfile: 'FROM BASE\nCOPY . /ctx/\nCOPY ["ü mläut/[b]racket.txt", "/named/"]',
    files: {
      'ü mläut/[b]racket.txt': '1',
      'ü mläut/日本': '2',
      'quote"d': '3',
      "apo'strophe": '4',
      'back\\slash': '5',
    },
  },
  {
    name: 'several platforms, without steps',
    dockerfile: `FROM scratch AS all
COPY common.txt /
FROM all
ARG TARGETARCH
COPY --chmod=755 bin-$TARGETARCH /bin/app
ENV ARCH=$TARGETARCH
ENTRYPOINT ["/bin/app"]`,
    files: { 'common.txt': 'c', 'bin-amd64': 'amd', 'bin-arm64': 'arm' },
    args: ['--platform', 'linux/amd64,linux/arm64'],
    platforms: ['linux/amd64', 'linux/arm64'],
  },
  {
    name: 'contexts by name: directories, layouts, images',
    dockerfile: `FROM BASE AS tool
COPY --from=other x.txt /x
COPY --from=more sub /sub
RUN --mount=type=bind,from=base,target=/b ls /b/bin | head -n 3 > /tools
FROM base
COPY --from=tool /x /sub /tools /from/
RUN echo on a layout > /made`,
    files: { 'more/sub/y': 'y', 'other/x.txt': 'x' },
    args: [
      '--build-context',
      'other=BENCH/context-of-names/other',
      '--build-context',
      'more=BENCH/context-of-names/more',
      '--build-context',
      'base=oci-layout://BENCH/busybox-layout:latest',
    ],
    prepare: 'rm -rf ../context-of-names; cp -r . ../context-of-names',
  },
  {
    name: 'triggers of a base stage',
    dockerfile: `FROM BASE AS parent
ONBUILD COPY later.txt /later
ONBUILD RUN cat /later > /seen
ENV FROM_PARENT=1
FROM parent
RUN test "$FROM_PARENT" = 1 && cat /seen`,
    files: { 'later.txt': 'later' },
  },
  {
    name: 'modes and owners in every way of saying them',
    dockerfile: `FROM BASE
COPY --chmod=4751 tree /words/
COPY --chown=1:app --chmod=0700 tree/ /numbers/
ADD --chown=app:extra tree /names/
WORKDIR /w
USER app
RUN touch /tmp/mine && mkdir -m 1777 /tmp/shared
USER 5:6
COPY tree/f .
WORKDIR deeper`,
    files: { 'tree/f': 'f', 'tree/d/g': 'g' },
    prepare: 'chmod 600 tree/f; chmod 755 tree/d/g; ln -s ../f tree/d/up',
  },
  {
    name: 'what runs without a network, and with hosts of its own',
    dockerfile: `FROM BASE
RUN --network=none ls /sys/class/net > /interfaces
RUN grep extra.example /etc/hosts > /host
RUN echo "$HTTP_PROXY" > /proxy
RUN cat /etc/hosts /etc/resolv.conf > /dev/null; ls -la /etc/hosts > /dev/null`,
    args: ['--add-host', 'extra.example:10.1.2.3', '--build-arg', 'HTTP_PROXY=http://proxy.example:3128'],
  },
  {
    name: 'large files, sparse files and many of them',
    dockerfile: `FROM BASE AS make
RUN i=0; mkdir /many; while [ $i -lt 500 ]; do echo $i > /many/$i; i=$((i+1)); done; dd if=/dev/zero of=/sparse bs=1 count=1 seek=5000000 2>/dev/null
FROM BASE
COPY --from=make /many /many
COPY --from=make /sparse /
COPY big /`,
    prepare: 'yes 0123456789abcdef | head -c 9000000 > big',
  },
];
