/**
 * Makes a `buildkitd` and a `buildctl` of the sources that Debian packages for other programs, where neither can be had
 * ready: BuildKit as today's Docker carries it. Not a test; run once, as root. It takes about five minutes and, for that
 * time, 4 GB in {@link CACHE}; tests find what it leaves there.
 *
 *     node test/support/make-buildkitd.ts
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BUILDKIT_DIRECTORY } from './buildkitd.ts';
import { CACHE, debianMirror } from './dockerd.ts';

const PACKAGES = [
  'ca-certificates',
  'golang-go',
  'golang-github-docker-docker-dev',
  'golang-github-agext-levenshtein-dev',
  'golang-github-coreos-go-systemd-dev',
  'golang-github-gofrs-flock-dev',
  'golang-github-google-shlex-dev',
  'golang-github-hashicorp-go-immutable-radix-v2-dev',
  'golang-github-mitchellh-hashstructure-dev',
  'golang-github-package-url-packageurl-go-dev',
  'golang-github-pkg-profile-dev',
  'golang-github-spdx-tools-golang-dev',
  'golang-github-tonistiigi-go-archvariant-dev',
];
const SOURCES = '/usr/share/gocode/src';
const REMOTE_CACHE = `${SOURCES}/github.com/moby/buildkit/cache/remotecache`;
const NOT_BUILT_IN = 'errors.New("not built in")';

/** Packages that Debian does not have, as far as buildkitd calls them; none of what they do is tested here. */
const ABSENT: Readonly<Record<string, string>> = {
  'containerd/fuse-overlayfs-snapshotter/v2': `package fuseoverlayfs
import ("errors"; "github.com/containerd/containerd/v2/core/snapshots")
func Supported(string) error { return ${NOT_BUILT_IN} }
func NewSnapshotter(string) (snapshots.Snapshotter, error) { return nil, ${NOT_BUILT_IN} }`,
  'containerd/accelerated-container-image/pkg/label': `package label
const (LocalOverlayBDPath = "none.1"; OverlayBDBlobDigest = "none.2"; OverlayBDBlobSize = "none.3"; SupportReadWriteMode = "none.4")
var OverlayBDAnnotations []string`,
  'containerd/accelerated-container-image/pkg/utils': `package utils
import ("context"; "errors")
func Commit(context.Context, string, string, bool, ...string) error { return ${NOT_BUILT_IN} }`,
  // Debian's is for another major version of containerd.
  'containerd/stargz-snapshotter/fs/config': 'package config\ntype Config struct{}',
  'containerd/stargz-snapshotter/fs/layer': `package layer
type OverlayOpaqueType int
const (OverlayOpaqueTrusted OverlayOpaqueType = iota; OverlayOpaqueUser)`,
  'containerd/stargz-snapshotter/fs/source': `package source
import ("github.com/containerd/containerd/v2/core/remotes/docker"; "github.com/containerd/containerd/v2/pkg/reference")
type Source struct{}
type GetSources func(labels map[string]string) ([]Source, error)
func FromDefaultLabels(func(reference.Spec) ([]docker.RegistryHost, error)) GetSources { return nil }`,
  'containerd/stargz-snapshotter/fs': `package fs
import ("errors"; "github.com/containerd/log"; "github.com/containerd/stargz-snapshotter/fs/config"; "github.com/containerd/stargz-snapshotter/fs/layer"; "github.com/containerd/stargz-snapshotter/fs/source")
type Option func()
func NewFilesystem(string, config.Config, ...Option) (any, error) { return nil, ${NOT_BUILT_IN} }
func WithGetSources(source.GetSources) Option { return nil }
func WithMetricsLogLevel(log.Level) Option { return nil }
func WithOverlayOpaqueType(layer.OverlayOpaqueType) Option { return nil }`,
  'containerd/stargz-snapshotter/snapshot': `package snapshot
import ("context"; "errors"; "github.com/containerd/containerd/v2/core/snapshots")
type Opt int
const (AsynchronousRemove Opt = iota; NoRestore)
func NewSnapshotter(context.Context, string, any, ...Opt) (snapshots.Snapshotter, error) { return nil, ${NOT_BUILT_IN} }`,
  'moby/profiles/seccomp': `package seccomp
import "github.com/opencontainers/runtime-spec/specs-go"
func GetDefaultProfile(*specs.Spec) (*specs.LinuxSeccomp, error) { return nil, nil }`,
};
/** Under the names that modules have since their second version. */
const MOVED: Readonly<Record<string, string>> = {
  'mitchellh/hashstructure/v2': 'mitchellh/hashstructure',
  'coreos/go-systemd/v22/activation': 'coreos/go-systemd/activation',
  'coreos/go-systemd/v22/daemon': 'coreos/go-systemd/daemon',
};

const BUILD = `set -e
mount -t proc proc /proc
export HOME=/root GO111MODULE=off GOPATH=/stubs:/usr/share/gocode GOFLAGS=-trimpath CGO_ENABLED=0
cd /
for program in buildkitd buildctl; do
  go build -overlay /stubs/overlay.json -ldflags '-s -w' -o /out/$program github.com/moby/buildkit/cmd/$program
done`;

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${text}\n`);
}

function makeStubs(root: string): void {
  const stub = (path: string): string => join(root, 'stubs', path);
  for (const [path, text] of Object.entries(ABSENT)) write(stub(`src/github.com/${path}/stub.go`), text);
  for (const [path, target] of Object.entries(MOVED)) {
    mkdirSync(dirname(stub(`src/github.com/${path}`)), { recursive: true });
    execFileSync('ln', ['-s', `${SOURCES}/github.com/${target}`, stub(`src/github.com/${path}`)]);
  }
  for (const name of ['gha', 'azblob']) {
    const text = ['Exporter', 'Importer'].map((kind) => `ResolveCache${kind}Func`);
    const functions = text.map((type) => `func ${type}() remotecache.${type} { return nil }`);
    const head = `package ${name}\nimport "github.com/moby/buildkit/cache/remotecache"`;
    write(stub(`${name}.go`), [head, ...functions].join('\n'));
  }
  const replaced = {
    [`${REMOTE_CACHE}/gha/gha.go`]: '/stubs/gha.go',
    [`${REMOTE_CACHE}/azblob/exporter.go`]: '/stubs/azblob.go',
    [`${REMOTE_CACHE}/azblob/importer.go`]: '',
    [`${REMOTE_CACHE}/azblob/utils.go`]: '',
  };
  write(stub('overlay.json'), JSON.stringify({ Replace: replaced }));
}

const root = join(CACHE, `buildkit-root-${process.pid}`);
try {
  mkdirSync(CACHE, { recursive: true });
  const debstrap = ['--quiet', '--variant=minbase', '--mode=root', '--aptopt=Acquire::Check-Valid-Until "false"'];
  execFileSync('mmdebstrap', [...debstrap, `--include=${PACKAGES.join(',')}`, 'sid', root, debianMirror()], {
    stdio: 'inherit',
  });
  makeStubs(root);
  const words = ['--mount', '--propagation', 'private', 'chroot', root, 'sh', '-c', BUILD];
  execFileSync('unshare', words, { stdio: 'inherit' });
  mkdirSync(BUILDKIT_DIRECTORY, { recursive: true });
  for (const program of ['buildkitd', 'buildctl'])
    copyFileSync(join(root, 'out', program), join(BUILDKIT_DIRECTORY, program));
} finally {
  rmSync(root, { recursive: true, force: true });
}
