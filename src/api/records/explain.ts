import { explainBuild, type Explanation } from '../../solver/index.ts';
import type { Store } from '../../store/index.ts';
import type { BuildRecorder } from './build-record.ts';
import { earlierBuilds, explainedBuild, openBuild, type BuildListItem } from './builds.ts';
import { withStore } from '../with-store.ts';
import type { HostOptions } from '../options.ts';

/** Why the steps of a build ran. */
export interface BuildExplanation extends BuildListItem {
  readonly explanations: readonly Explanation[];
}

/**
 * Why each step of a remembered build ran, compared with the build before it of the same context, Dockerfile, target and
 * platform.
 *
 * @param name An id or the beginning of one, `latest`, `latest~N`. Errors: `usage` when there is no such build.
 */
export async function explain(name = 'latest', options: HostOptions = {}): Promise<BuildExplanation> {
  return await withStore(options, async (store) => {
    const opened = openBuild(store, name);
    const earlier = earlierBuilds(store, opened.row.lineage, opened.row.id);
    const explanations = explainBuild(explainedBuild(opened), { earlier, ...lists(store) });
    return { ...opened.item, explanations };
  });
}

/** The same for a build whose record is not written yet. */
export function explainRunning(recorder: BuildRecorder, store: Store): readonly Explanation[] {
  const build = recorder.explained(store);
  if (build === undefined) return [];
  return explainBuild(build, { earlier: earlierBuilds(store, recorder.lineage, undefined), ...lists(store) });
}

function lists(store: Store) {
  return { contentList: (content: Parameters<Store['readContentList']>[0]) => store.readContentList(content) };
}
