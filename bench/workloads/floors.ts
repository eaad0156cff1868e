import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { Floor, Place } from '../types.ts';

/** What any command costs that runs in Node. */
export function emptyScript(place: Place): Floor {
  writeFiles(place.dir, { 'empty.mjs': '' });
  return { name: 'an empty Node script', script: `${process.execPath} empty.mjs` };
}

/** The files of an image below `DIR/rootfs` of the bench's directory. */
export async function rootfs(place: Place, dir: string, image: string): Promise<string> {
  const context = writeFiles(join(place.dir, dir), { Dockerfile: `FROM ${image}\n` });
  const dest = join(context, 'rootfs');
  const [tool] = place.tools;
  if (tool !== undefined) await place.run(tool, { context, output: { kind: 'files', dest } });
  return dest;
}

/** A bundle for an OCI runtime that runs one command in a shell, on the files of the base image: `crun run -b DIR ID`. */
export async function bundle(place: Place, dir: string, command: string): Promise<void> {
  const root = await rootfs(place, dir, place.baseImage);
  for (const name of ['proc', 'dev']) mkdirSync(join(root, name), { recursive: true });
  const config = {
    ociVersion: '1.0.2',
    process: { user: { uid: 0, gid: 0 }, args: ['/bin/sh', '-c', command], env: ['PATH=/usr/bin:/bin'], cwd: '/' },
    root: { path: 'rootfs' },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
    ],
    linux: { namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
  };
  writeFiles(join(place.dir, dir), { 'config.json': JSON.stringify(config) });
}

/** The bundle, so often, one after the other. Names hold the script's process, so that two benches do not meet. */
export const crunTimes = (dir: string, times: number): Floor => ({
  name: `crun run ${times === 1 ? 'once' : `${times} times`}`,
  script: withCrun(`for i in $(seq ${times}); do ${CRUN} -b ${dir} bench-$$-$i; done`),
});

export const crunAtOnce = (dir: string, times: number): Floor => ({
  name: `crun run ${times} times at once`,
  script: withCrun(
    `for i in $(seq ${times}); do ${CRUN} -b ${dir} bench-$$-$i & all+=($!); done; for one in "\${all[@]}"; do wait $one; done`,
  ),
});

const CRUN = 'crun --cgroup-manager=disabled run';

/** crun does not start where both hierarchies of control groups are mounted: the script does not see the second. */
const withCrun = (script: string): string =>
  `unshare -m bash -e -c 'umount -l /sys/fs/cgroup/unified 2>/dev/null || true; ${script}'`;
