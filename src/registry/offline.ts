import { BuildError, isDigest } from '../contracts/index.ts';
import type { Registry } from './types.ts';

/**
 * A registry client that asks nobody (`--offline`): each question is answered with what is missing. What is at hand is
 * found before anybody asks.
 */
export function offlineRegistry(): Registry {
  const missingImage = (repository: string, reference: string): BuildError => {
    const name = isDigest(reference) ? `${repository}@${reference}` : `${repository}:${reference}`;
    return offlineError(name, `fetch it while there is a network: slipway pull ${name}`);
  };
  return {
    resolve: async (repository, reference) => {
      throw missingImage(repository, reference);
    },
    fetchManifest: async (repository, reference) => {
      throw missingImage(repository, reference);
    },
    async *fetchBlob(repository, { digest }) {
      throw missingBlob(repository, digest);
    },
    async pullBlob([repository = 'an image'], { digest }, store) {
      if (!store.hasBlob(digest)) throw missingBlob(repository, digest);
    },
    hasBlob: async (repository, digest) => {
      throw missingBlob(repository, digest);
    },
    pushBlob: async (repository) => {
      throw pushes(repository);
    },
    pushGrowingBlob: async (repository) => {
      throw pushes(repository);
    },
    ownManifest: async (repository) => {
      throw pushes(repository);
    },
    removeTag: async (repository) => {
      throw pushes(repository);
    },
    referrers: async () => ({ isListed: false, manifests: [] }),
    pushReferrer: async (repository) => {
      throw pushes(repository);
    },
    pushManifest: async (repository) => {
      throw pushes(repository);
    },
    http: async (url) => {
      throw offlineError(new URL(url).origin + new URL(url).pathname, 'build once with a network, which keeps it');
    },
    close: async () => undefined,
  };
}

/** @param what Is not here. */
export function offlineError(what: string, hint: string): BuildError {
  return new BuildError({
    code: 'image-not-found',
    message: `${what} is not in the local store, and --offline asks nobody for it`,
    hint: `${hint}, or build without --offline`,
  });
}

function missingBlob(repository: string, digest: string): BuildError {
  return offlineError(
    `${digest} of ${repository}`,
    `fetch its layers while there is a network: slipway pull ${repository}`,
  );
}

function pushes(repository: string): BuildError {
  return new BuildError({
    code: 'usage',
    message: `--offline does not push to ${repository}`,
    hint: 'build without --offline, or slipway push it later',
  });
}
