/** What dockerd with its classic image store cannot do in a build is done after it, or said before it. */
import {
  hasContainerdStore,
  pushImage,
  withoutRewriting,
  type Endpoint,
  type RemoteOutput,
} from '../../buildkit/index.ts';
import { BuildError, type BuildEventSink } from '../../contracts/index.ts';
import { parseReference, referenceToString, repositoryName } from '../../image/index.ts';
import { createCredentialBroker } from '../../registry/index.ts';
import { step } from '../records/steps.ts';

interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly events: BuildEventSink;
}

export interface DockerPlan {
  readonly outputs: readonly RemoteOutput[];
  /** Pushes what the build could not. */
  finish(): Promise<void>;
}

/** @throws BuildError `unsupported` for outputs that this dockerd does not make */
export async function planForDocker(
  endpoint: Endpoint,
  asked: readonly RemoteOutput[],
  surroundings: Surroundings,
): Promise<DockerPlan> {
  const outputs = endpoint.kind === 'docker' ? withoutRewriting(asked) : asked;
  if (outputs.some((output, i) => output !== asked[i])) {
    surroundings.events({
      type: 'warning',
      message: 'SOURCE_DATE_EPOCH does not bound the times in the layers of an image that Docker keeps',
      hint: 'add -o type=oci,dest=FILE for one whose times are bounded, or build on another BuildKit',
    });
  }
  const plain = { outputs, finish: async () => await Promise.resolve() };
  const needsStore = outputs.filter(({ type, attrs }) => type === 'oci' || type === 'docker' || isOn(attrs['push']));
  if (endpoint.kind !== 'docker' || needsStore.length === 0) return plain;
  if (await hasContainerdStore(endpoint, surroundings)) return plain;
  const archive = needsStore.find(({ type }) => type !== 'image');
  if (archive !== undefined) {
    throw new BuildError({
      code: 'unsupported',
      message: `the Docker daemon at ${endpoint.host} makes no output of type ${archive.type}`,
      hint: "its classic image store has image, local and tar only: switch on Docker's containerd image store, or use another BuildKit",
    });
  }
  const names = needsStore.flatMap(({ attrs }) => (attrs['name'] ?? '').split(',').filter(Boolean));
  const digestOnly = needsStore.some(({ attrs }) => isOn(attrs['push-by-digest']));
  if (names.length === 0 || digestOnly) {
    throw new BuildError({
      code: 'unsupported',
      message: `the Docker daemon at ${endpoint.host} pushes by name only`,
      hint: "give names by -t, or switch on Docker's containerd image store",
    });
  }
  return {
    // It is pushed out of the store.
    outputs: outputs.map((output) => ({
      ...output,
      attrs: Object.fromEntries(Object.entries(output.attrs).filter(([key]) => key !== 'push' && key !== 'store')),
    })),
    finish: async () => {
      const broker = createCredentialBroker(surroundings.env);
      try {
        for (const name of names) {
          const reference = parseReference(name);
          const repository = repositoryName(reference);
          await step(surroundings.events, `pushing ${referenceToString(reference)} with docker`, async () => {
            const credentials = await broker.credentials(reference.domain);
            const target = { repository, tag: reference.tag ?? 'latest' };
            await pushImage(endpoint, target, credentials, surroundings);
          });
        }
      } finally {
        await broker.close();
      }
    },
  };
}

function isOn(value: string | undefined): boolean {
  return /^(?:1|t|true)$/i.test(value ?? '');
}
