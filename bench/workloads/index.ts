import type { Workload } from '../types.ts';
import { goExample } from './w01-go.ts';
import { cached } from './w02-cached.ts';
import { change } from './w03-change.ts';
import { largeContext } from './w04-context.ts';
import { largeExport } from './w05-export.ts';
import { parallelStages } from './w06-parallel.ts';
import { manySteps } from './w07-steps.ts';
import { copyFrom } from './w08-copy-from.ts';
import { coldPull } from './w09-pull.ts';
import { oneFile } from './w10-one-file.ts';
import { push } from './w11-push.ts';
import { chain } from './w12-chain.ts';
import { memory } from './w13-memory.ts';

export const WORKLOADS: readonly Workload[] = [
  goExample,
  cached,
  change,
  largeContext,
  largeExport,
  parallelStages,
  manySteps,
  copyFrom,
  coldPull,
  oneFile,
  push,
  chain,
  memory,
];
