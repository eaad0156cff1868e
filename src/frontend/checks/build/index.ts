/** BuildKit's rules that look at stages, variables and images; they run in every build. */
import type { Rule } from '../../../dockerfile/index.ts';
import type { BuildView } from '../view.ts';
import { copyIgnoredFile } from './copy-ignored-file.ts';
import { exposeInvalidFormat } from './expose-invalid-format.ts';
import { exposeProtoCasing } from './expose-proto-casing.ts';
import { fromPlatformFlagConstDisallowed } from './from-platform-flag-const-disallowed.ts';
import { invalidBaseImagePlatform } from './invalid-base-image-platform.ts';
import { invalidDefaultArgInFrom } from './invalid-default-arg-in-from.ts';
import { jsonArgsRecommended } from './json-args-recommended.ts';
import { legacyKeyValueFormat } from './legacy-key-value-format.ts';
import { multipleInstructionsDisallowed } from './multiple-instructions-disallowed.ts';
import { redundantTargetPlatform } from './redundant-target-platform.ts';
import { secretsUsedInArgOrEnv } from './secrets-used-in-arg-or-env.ts';
import { undefinedArgInFrom } from './undefined-arg-in-from.ts';
import { undefinedVar } from './undefined-var.ts';
import { workdirRelativePath } from './workdir-relative-path.ts';

export const BUILD_RULES: readonly Rule<BuildView>[] = [
  invalidDefaultArgInFrom,
  undefinedArgInFrom,
  redundantTargetPlatform,
  fromPlatformFlagConstDisallowed,
  invalidBaseImagePlatform,
  undefinedVar,
  copyIgnoredFile,
  secretsUsedInArgOrEnv,
  legacyKeyValueFormat,
  workdirRelativePath,
  exposeProtoCasing,
  exposeInvalidFormat,
  jsonArgsRecommended,
  multipleInstructionsDisallowed,
];
