/** `--attest`, `--provenance`, `--sbom`, as buildx takes them (util/buildflags/attests.go). */
import { BuildError } from '../../contracts/index.ts';
import { parseCsv } from '../csv.ts';
import type { ProvenanceMode } from './provenance.ts';

/** What is wanted; absent = not that. */
export interface AttestationRequest {
  readonly provenance?:
    { readonly mode: ProvenanceMode; readonly builderId: string; readonly reproducible: boolean } | undefined;
  readonly sbom?: true | undefined;
}

export interface AttestationWords {
  /** `type=sbom`, `type=provenance,mode=max`. */
  readonly attest?: readonly string[] | undefined;
  /** `true`, `false`, `mode=max,builder-id=URL`. */
  readonly provenance?: string | undefined;
  readonly sbom?: string | undefined;
}

/** @throws BuildError `usage`, `unsupported` */
export function parseAttestations(words: AttestationWords): AttestationRequest {
  let request: AttestationRequest = {};
  for (const word of words.attest ?? []) request = { ...request, ...parseWord(word, `--attest ${word}`) };
  for (const type of ['provenance', 'sbom'] as const) {
    const word = words[type];
    if (word === undefined) continue;
    const flag = `--${type}${word === '' ? '' : `=${word}`}`;
    if (/^(true|1|)$/.test(word)) request = { ...request, ...parseWord(`type=${type}`, flag) };
    else if (/^(false|0)$/.test(word)) request = { ...request, [type]: undefined };
    else request = { ...request, ...parseWord(`type=${type},${word}`, flag) };
  }
  return request;
}

function parseWord(word: string, flag: string): AttestationRequest {
  const fields = new Map<string, string>();
  for (const field of parseCsv(word)) {
    const [, name, value] = /^([a-z-]+)=(.*)$/.exec(field.trim()) ?? [];
    if (name === undefined || value === undefined) throw wrong(flag, `"${field}" is not NAME=VALUE`);
    fields.set(name, value);
  }
  const take = (name: string): string | undefined => {
    const value = fields.get(name);
    fields.delete(name);
    return value;
  };
  const type = take('type');
  const isOff = !isFalse(take('disabled') ?? 'false', flag);
  if (type === 'sbom') {
    if (fields.has('generator'))
      throw new BuildError({
        code: 'unsupported',
        message: `${flag}: packages are found by Slipway itself, not by a generator`,
        hint: 'leave generator= out',
      });
    refuseRest(fields, flag, 'disabled');
    return { sbom: isOff ? undefined : true };
  }
  if (type !== 'provenance')
    throw wrong(flag, type === undefined ? 'it has no type' : `there is no type ${type}`, 'it is provenance or sbom');
  const mode = take('mode') ?? 'max';
  if (mode !== 'min' && mode !== 'max') throw wrong(flag, `there is no mode ${mode}`, 'it is min or max');
  const version = take('version') ?? 'v1';
  if (version !== 'v1')
    throw new BuildError({
      code: 'unsupported',
      message: `${flag}: provenance is of SLSA v1, not ${version}`,
      hint: 'leave version= out',
    });
  // Only the image has it in any case; kept so that words written for buildx work.
  take('inline-only');
  const builderId = take('builder-id') ?? '';
  const reproducible = !isFalse(take('reproducible') ?? 'false', flag);
  refuseRest(fields, flag, 'mode, builder-id, reproducible, version, inline-only, disabled');
  return { provenance: isOff ? undefined : { mode, builderId, reproducible } };
}

function refuseRest(fields: ReadonlyMap<string, string>, flag: string, known: string): void {
  const [name] = fields.keys();
  if (name !== undefined) throw wrong(flag, `there is no ${name}`, `it takes ${known}`);
}

function isFalse(word: string, flag: string): boolean {
  if (/^(true|1)$/.test(word)) return false;
  if (/^(false|0)$/.test(word)) return true;
  throw wrong(flag, `"${word}" is not true or false`);
}

function wrong(flag: string, reason: string, hint?: string): BuildError {
  return new BuildError({ code: 'usage', message: `${flag}: ${reason}`, hint });
}
