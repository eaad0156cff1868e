import type { Executor, WorkContext } from '../contracts/index.ts';
import type { Sources } from '../source/index.ts';
import type { Store } from '../store/index.ts';

/** What the worker uses; every effect comes in here. */
export interface WorkerDeps {
  readonly store: Store;
  readonly sources: Sources;
  readonly executor: Executor;
  /** Names this build: `--no-cache` empties a cache mount once for it, not at every step. */
  readonly buildId?: string | undefined;
  /** `--secret`: the value by id; undefined = not given. */
  readonly secrets?: ((id: string) => Uint8Array | undefined) | undefined;
  /** `--ssh`: the agent's socket by id; undefined = not given. */
  readonly ssh?: ((id: string) => string | undefined) | undefined;
  /** Keep a list of the paths behind each new content key (`Store.saveContentList`), so that changes can be explained. */
  readonly listsContent?: boolean | undefined;
  /**
   * Called before a step uses a cache mount: fills it from elsewhere (`--cache-mount-from`). Not for caches that grow on an
   * input of the step.
   */
  readonly beforeCacheMount?: ((id: string, context: WorkContext) => Promise<void>) | undefined;
  /** `--allow security.insecure`: steps that ask for it get all capabilities. Default false. */
  readonly allowsInsecure?: boolean | undefined;
  /** `--shm-size`, bytes. */
  readonly shmSize?: number | undefined;
}
