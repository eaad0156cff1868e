/** Names in registries that appear together or not at all, as far as registries let them be taken back. */
import { BuildError } from '../contracts/index.ts';
import type { ExportContext } from '../contracts/index.ts';
import { repositoryName } from '../image/index.ts';
import type { Reference } from '../image/index.ts';
import type { Registry } from '../registry/index.ts';
import type { ImageDocument } from './document.ts';
import { reported } from './progress-report.ts';

/** A name as it was before, and how to give it. */
export interface PreparedName {
  readonly reference: Reference;
  readonly root: ImageDocument;
  /** What it led to; undefined = nothing. */
  readonly before: Awaited<ReturnType<Registry['ownManifest']>>;
}

/** Notes what names lead to now, so that they can be taken back. A registry that does not say is believed to have nothing. */
export async function prepareNames(
  root: ImageDocument,
  references: readonly Reference[],
  registry: Registry,
  { signal }: ExportContext,
): Promise<readonly PreparedName[]> {
  return await Promise.all(
    references.map(async (reference) => {
      const before = await registry
        .ownManifest(repositoryName(reference), tagOf(reference, root), { signal })
        .catch(() => undefined);
      return { reference, root, before };
    }),
  );
}

/**
 * Gives names one after the other. When a registry refuses one, those that were given before are taken back.
 *
 * @throws BuildError The refusal, with what became of the others
 */
export async function giveNames(
  names: readonly PreparedName[],
  registry: Registry,
  context: ExportContext,
): Promise<void> {
  const given: PreparedName[] = [];
  try {
    for (const name of names) {
      await giveName(name, registry, context);
      given.push(name);
    }
  } catch (error) {
    throw await withdrawn(error, given, registry, context);
  }
}

async function giveName({ reference, root }: PreparedName, registry: Registry, context: ExportContext): Promise<void> {
  const repository = repositoryName(reference);
  const tag = tagOf(reference, root);
  const { mediaType, digest } = root.descriptor;
  const shown = tag === digest ? `${repository}@${digest}` : `${repository}:${tag}@${digest}`;
  await reported(context.events, `pushing manifest for ${shown}`, () =>
    registry.pushManifest(repository, tag, { mediaType, bytes: root.bytes }, { signal: context.signal }),
  );
}

/** Takes names back and says in the error which came back and which did not. */
export async function withdrawn(
  error: unknown,
  names: readonly PreparedName[],
  registry: Registry,
  context: ExportContext,
): Promise<unknown> {
  const known = error instanceof BuildError ? error : undefined;
  const tagged = names.filter(({ reference }) => reference.tag !== undefined);
  if (known === undefined || tagged.length === 0) return error;
  const detail: string[] = [];
  for (const name of tagged.toReversed()) {
    const shown = `${repositoryName(name.reference)}:${tagOf(name.reference, name.root)}`;
    // Interrupted or not: what was begun is put right.
    const problem = await withdraw(name, registry, context).catch((reason: unknown) =>
      reason instanceof Error ? reason.message : String(reason),
    );
    const was = name.before === undefined ? 'was removed again' : 'leads to what it led to before';
    detail.push(problem === undefined ? `${shown} ${was}` : `${shown} leads to the new image all the same: ${problem}`);
  }
  return new BuildError({ ...known.toInit(), detail: [...known.detail, ...detail] });
}

/** @returns What is to be said when it was not done. */
async function withdraw(
  { reference, root, before }: PreparedName,
  registry: Registry,
  { events }: ExportContext,
): Promise<string | undefined> {
  const repository = repositoryName(reference);
  const tag = tagOf(reference, root);
  const now = await registry.ownManifest(repository, tag);
  if (now?.digest !== root.descriptor.digest) return 'somebody else has moved it since';
  await reported(events, `taking back ${repository}:${tag}`, async () => {
    if (before === undefined) await registry.removeTag(repository, tag);
    else await registry.pushManifest(repository, tag, before);
  });
  return undefined;
}

function tagOf({ tag }: Reference, root: ImageDocument): string {
  return tag ?? root.descriptor.digest;
}
