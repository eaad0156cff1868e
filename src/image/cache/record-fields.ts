/** The part of a record that is the same in every form of a cache, read from bytes that anybody may have made. */
import type { Digest } from '../../contracts/index.ts';
import type { JsonReader } from '../json.ts';
import type { PortableInput, PortableRecord } from './types.ts';

/** Version of our part of the documents. */
export const CACHE_VERSION = 1;
/** More is no build's cache; keeps hostile documents from costing time and memory. */
export const RECORDS_MAX = 20_000;
const INPUTS_MAX = 1000;
/** As image manifests. */
export const CHAIN_MAX = 1000;
export const OUTPUTS_MAX = 100;

/** Letters of the kinds of keys that travel (solver/keys.ts). */
const KEY = /^[drk]\d{1,4}-[0-9a-f]{64}$/;

/** JSON of a record but for its layers. */
export function encodeFields({ key, lookup, definition, inputs }: PortableRecord) {
  return {
    key,
    lookup,
    definition,
    inputs: inputs.map((input) => ('content' in input ? input.content : input.record)),
  };
}

export function decodeFields(
  json: JsonReader,
  object: Readonly<Record<string, unknown>>,
  at: string,
): Pick<PortableRecord, 'key' | 'lookup' | 'definition' | 'inputs'> {
  const key = (name: string, kind: string): string => {
    const text = json.string(object[name], `${at}.${name}`);
    if (!KEY.test(text) || !text.startsWith(kind)) throw json.fail(`has no valid key in ${at}.${name}`);
    return text;
  };
  return {
    key: key('key', 'r'),
    lookup: key('lookup', 'k'),
    definition: key('definition', 'd'),
    inputs: json.array(object['inputs'], `${at}.inputs`, INPUTS_MAX).map((item, i): PortableInput => {
      const text = json.string(item, `${at}.inputs[${i}]`);
      if (/^sha256:[0-9a-f]{64}$/.test(text)) return { content: text as Digest };
      if (KEY.test(text) && text.startsWith('r')) return { record: text };
      throw json.fail(`has no valid input in ${at}.inputs[${i}]`);
    }),
  };
}

/** RFC 3339 to milliseconds. */
export function decodeTime(json: JsonReader, value: unknown, at: string): number | undefined {
  const text = json.optionalString(value, at);
  if (text === undefined) return undefined;
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw json.fail(`has no valid time in ${at}`);
  return time;
}

/** SOURCE_DATE_EPOCH, seconds. */
export function decodeEpoch(json: JsonReader, value: unknown, at: string): number | undefined {
  return value === undefined ? undefined : json.size(value, at);
}

/** An index into a list. */
export function decodeIndex(json: JsonReader, value: unknown, below: number, at: string): number {
  const index = json.integer(value, at) ?? 0;
  if (index < 0 || index >= below) throw json.fail(`points nowhere in ${at}`);
  return index;
}
