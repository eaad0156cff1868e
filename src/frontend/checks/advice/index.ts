/** Our own rules: what ends up in the image, what defeats the cache, what the graph shows. They run in checks only. */
import type { Rule } from '../../../dockerfile/index.ts';
import type { BuildView } from '../view.ts';
import { aptCacheNotLocked } from './apt-cache-not-locked.ts';
import { buildToolsInFinalImage } from './build-tools-in-final-image.ts';
import { changedAfterCopy } from './changed-after-copy.ts';
import { copyBeforeInstall } from './copy-before-install.ts';
import { copyFromMissingPath } from './copy-from-missing-path.ts';
import { devDependenciesInFinalImage } from './dev-dependencies-in-final-image.ts';
import { hardcodedSecret } from './hardcoded-secret.ts';
import { missingStageName } from './missing-stage-name.ts';
import { packageCacheInFinalImage } from './package-cache-in-final-image.ts';
import { secretArgInFinalImage } from './secret-arg-in-final-image.ts';
import { unpinnedBaseImage } from './unpinned-base-image.ts';
import { unusedStage } from './unused-stage.ts';
import { vcsInFinalImage } from './vcs-in-final-image.ts';
import { wholeStageCopied } from './whole-stage-copied.ts';

export const ADVICE_RULES: readonly Rule<BuildView>[] = [
  missingStageName,
  hardcodedSecret,
  unusedStage,
  wholeStageCopied,
  copyFromMissingPath,
  buildToolsInFinalImage,
  packageCacheInFinalImage,
  devDependenciesInFinalImage,
  vcsInFinalImage,
  changedAfterCopy,
  copyBeforeInstall,
  aptCacheNotLocked,
  secretArgInFinalImage,
  unpinnedBaseImage,
];
