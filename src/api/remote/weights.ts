/** What stages weigh on a daemon, as far as its gateway tells: the files of a result, not which layer brought them. */
import type { RemoteFrontend } from '../../buildkit/index.ts';
import type { FrontendResult } from '../../frontend/index.ts';
import { definition } from '../../llb/index.ts';
import type { StageWeight } from '../options.ts';
import { treeBytes } from '../scales.ts';
import { basesOf } from '../weights.ts';

/**
 * Bytes of the regular files of each stage; the gateway tells of no hard links, so every name of a file counts. What of a
 * stage came into others is not known, but for those that the target stands on.
 *
 * @param prefix Before names, where several platforms are built.
 */
export async function remoteStageWeights(
  { stages, target }: FrontendResult,
  daemon: RemoteFrontend,
  prefix: string,
): Promise<readonly StageWeight[]> {
  const bases = basesOf(target, stages);
  return await Promise.all(
    stages.map(async (stage): Promise<StageWeight> => {
      const { result } = stage;
      const builtBytes = result === undefined ? 0 : await treeBytes(await daemon.files(definition(result)));
      const ships = stage === target || bases.has(stage);
      const shippedBytes = ships ? builtBytes : undefined;
      return { name: `${prefix}${stage.name}`, builtBytes, shippedBytes, estimated: false, final: stage === target };
    }),
  );
}
