import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { Digest, LayerId } from '../contracts/index.ts';
import { leaseTempPath } from './lease.ts';
import { TREE_VERSION } from './tree-codec.ts';

/**
 * Where things are in a state directory. Pure paths but for `tempPath`; usable in the executor's child, which opens no
 * database.
 *
 *     version                 format of this directory, one line
 *     db.sqlite               keys, records, images, layers (with -wal and -shm)
 *     blobs/sha256/<hex>      manifests, configs, layer tars, as in an OCI layout
 *     files/<xx>/<hex>        single files extracted from layers
 *     files.suspect/          those written before the last start of the machine, until they are verified
 *     l/<id>/{fs,work,tree2}  a layer: its directory, overlay's work directory, its encoded tree, digests of its files
 *     cache/<hash>/           cache mounts, named by the hash of their id
 *     statcache/<hash>        stat caches of build contexts
 *     code/                   what is compiled once: the command line's bundle by V8 (bin/slipway.js), the executor's by Node, the seccomp profile
 *     tmp/<lease>/            what a live process is writing; <lease>.lock beside it: what it holds
 *     locks/                  files for flock
 */
export interface StoreLayout {
  readonly root: string;
  readonly version: string;
  readonly database: string;
  readonly blobs: string;
  readonly files: string;
  readonly suspectFiles: string;
  readonly layers: string;
  readonly caches: string;
  readonly statCaches: string;
  readonly temp: string;
  readonly locks: string;
  blobPath(digest: Digest): string;
  filePath(digest: Digest): string;
  suspectFilePath(digest: Digest): string;
  /** `l/<id>`, which holds the three below. */
  layerRoot(id: LayerId): string;
  layerDir(id: LayerId): string;
  layerWorkDir(id: LayerId): string;
  treePath(id: LayerId): string;
  digestsPath(id: LayerId): string;
  /** Named by the hash of `id`: no path is ever made from it (CVE-2024-9675). */
  cacheDir(id: string): string;
  statCachePath(contextRoot: string): string;
  lockPath(name: string): string;
  /** @param name One file name. */
  codePath(name: string): string;
  /** A fresh name in this process's temporary directory, which others remove once this process is gone. */
  tempPath(suffix: string): string;
}

/** @param root Absolute, or relative to the current directory. */
export function storeLayout(root: string): StoreLayout {
  const base = resolve(root);
  const at = (name: string): string => join(base, name);
  const layers = at('l');
  const blobs = at('blobs/sha256');
  const files = at('files');
  const suspectFiles = at('files.suspect');
  return {
    root: base,
    version: at('version'),
    database: at('db.sqlite'),
    blobs,
    files,
    suspectFiles,
    layers,
    caches: at('cache'),
    statCaches: at('statcache'),
    temp: at('tmp'),
    locks: at('locks'),
    blobPath: (digest) => `${blobs}/${hexOf(digest)}`,
    filePath: (digest) => `${files}/${digest.slice(7, 9)}/${hexOf(digest)}`,
    suspectFilePath: (digest) => `${suspectFiles}/${digest.slice(7, 9)}/${hexOf(digest)}`,
    layerRoot: (id) => `${layers}/${safeId(id)}`,
    layerDir: (id) => `${layers}/${safeId(id)}/fs`,
    layerWorkDir: (id) => `${layers}/${safeId(id)}/work`,
    treePath: (id) => `${layers}/${safeId(id)}/tree${TREE_VERSION}`,
    digestsPath: (id) => `${layers}/${safeId(id)}/digests`,
    cacheDir: (id) => `${base}/cache/${hashName(id)}`,
    statCachePath: (contextRoot) => `${base}/statcache/${hashName(contextRoot)}`,
    lockPath: (name) => `${base}/locks/${hashName(name)}`,
    codePath: (name) => `${base}/code/${name}`,
    tempPath: (suffix) => leaseTempPath(base, suffix),
  };
}

/** 128 bits of SHA-256: a file name that no input can choose. */
export function hashName(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 32);
}

function hexOf(digest: Digest): string {
  const hex = digest.slice(7);
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new RangeError(`not a sha256 digest: ${digest}`);
  return hex;
}

function safeId(id: LayerId): string {
  if (!/^[0-9a-z]{1,16}$/.test(id)) throw new RangeError(`not a layer id: ${id}`);
  return id;
}
