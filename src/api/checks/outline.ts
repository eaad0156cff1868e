import type { SourceFile } from '../../contracts/index.ts';
import { parseDockerfile } from '../../dockerfile/index.ts';
import { listTargets as targetsOf, outlineOf, type Outline, type TargetInfo } from '../../frontend/index.ts';
import { readDockerfileInput, type DockerfileOptions } from './check-input.ts';

export type { ArgInfo, MountInfo, Outline, TargetInfo } from '../../frontend/index.ts';

/**
 * The build arguments, secrets, SSH agents and cache mounts of a target and of the stages that it needs.
 *
 * @throws BuildError `usage`, `context`, `dockerfile`, `stage`
 */
export async function outline(options: DockerfileOptions): Promise<Outline & { readonly file: SourceFile }> {
  const input = await readDockerfileInput(options);
  const dockerfile = parseDockerfile(input.text, { filename: input.filename });
  return { ...outlineOf(dockerfile, input.options), file: dockerfile.file };
}

/**
 * The stages of a Dockerfile, as targets.
 *
 * @throws BuildError `usage`, `context`, `dockerfile`
 */
export async function listTargets(
  options: DockerfileOptions,
): Promise<{ readonly targets: readonly TargetInfo[]; readonly file: SourceFile }> {
  const input = await readDockerfileInput(options);
  const dockerfile = parseDockerfile(input.text, { filename: input.filename });
  return { targets: targetsOf(dockerfile), file: dockerfile.file };
}
