/** Attestations of a build: what the library and the command line ask of `export/attest`. */
import { BuildError } from '../../contracts/index.ts';
import { parseAttestations } from '../../export/index.ts';
import type { Pins } from '../../source/index.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { frozenPins } from '../lock/lock-file.ts';
import type { BuildOptions } from '../options.ts';
import type { Attestor } from './attestor.ts';

export interface Attestations {
  /** For the sources of the build: sees what names mean. */
  readonly pins: Pins;
  attestor(inputs: Inputs): Promise<Attestor>;
}

/**
 * Undefined when nothing is to be said of the image.
 *
 * @param isRemote The build is done by somebody else.
 * @throws BuildError `usage`, `unsupported`
 */
export async function openAttestations(options: BuildOptions, isRemote: boolean): Promise<Attestations | undefined> {
  const { attest, provenance, sbom } = options;
  const request = parseAttestations({
    attest,
    provenance: provenance === undefined ? undefined : String(provenance),
    sbom: sbom === undefined ? undefined : String(sbom),
  });
  if (request.provenance === undefined && request.sbom === undefined) return undefined;
  if (isRemote) {
    throw new BuildError({
      code: 'unsupported',
      message: 'attestations are made by builds on this machine only',
      hint: 'leave --provenance, --sbom and --attest out, or build with --builder embedded',
    });
  }
  const started = Date.now();
  const { watchSources } = await import('./seen-sources.ts');
  const { pins, seen } = watchSources(options.frozen === true ? await frozenPins(options) : undefined);
  return {
    pins,
    async attestor(inputs) {
      const { createAttestor } = await import('./attestor.ts');
      return createAttestor(request, { options, inputs, seen, started });
    },
  };
}
