/** Flags whose words are `type=registry,ref=...`, as buildx reads them (util/buildflags): one record of CSV, KEY=VALUE each. */
import { BuildError } from '../../contracts/index.ts';
import { parseCsv } from '../../export/index.ts';

export type WordAttributes = ReadonlyMap<string, string>;

/**
 * @param flag As `--cache-to`, for messages.
 * @returns One map a thing: bare references (`a,b`) are each `type=registry,ref=...`.
 * @throws BuildError `usage`
 */
export function parseAttributeWord(flag: string, text: string): readonly WordAttributes[] {
  const fields = parseCsv(text).map((field) => field.trim());
  if (!fields.some((field) => field.includes('='))) {
    return fields
      .filter((field) => field !== '')
      .map(
        (ref) =>
          new Map([
            ['type', 'registry'],
            ['ref', ref],
          ]),
      );
  }
  const attributes = new Map<string, string>();
  for (const field of fields) {
    const equals = field.indexOf('=');
    if (equals <= 0) throw wrong(flag, text, `${JSON.stringify(field)} has no value: parts are KEY=VALUE`);
    attributes.set(field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1));
  }
  return [attributes];
}

/** Reads the attributes of one thing; every mistake names the flag. */
export class AttributeReader {
  readonly #flag: string;
  readonly #attributes: WordAttributes;

  constructor(flag: string, attributes: WordAttributes) {
    this.#flag = flag;
    this.#attributes = attributes;
  }

  /** @param elsewhere Types that other tools have. */
  type<T extends string>(types: readonly T[], elsewhere: readonly string[] = []): T {
    const word = this.text('type');
    const type = types.find((known) => known === word);
    if (type !== undefined) return type;
    if (word !== undefined && elsewhere.includes(word)) {
      throw new BuildError({
        code: 'unsupported',
        message: `${this.#flag} type=${word} is not supported`,
        hint: `use type=${types.join(' or type=')}`,
      });
    }
    throw this.wrong(
      word === undefined ? 'type= is missing' : `there is no type=${word}`,
      `types: ${types.join(', ')}`,
    );
  }

  /** Refuses what no one of `keys` names, `type` aside. */
  only(keys: readonly string[]): void {
    for (const key of this.#attributes.keys()) {
      if (key !== 'type' && !keys.includes(key)) {
        throw this.wrong(`type=${this.text('type') ?? ''} has no ${key}=`, `it has ${keys.join(', ')}`);
      }
    }
  }

  /** Undefined when absent or empty. */
  text(key: string): string | undefined {
    const value = this.#attributes.get(key);
    return value === '' ? undefined : value;
  }

  required(key: string, example: string): string {
    const value = this.text(key);
    if (value === undefined) throw this.wrong(`type=${this.text('type') ?? ''} needs ${key}=`, `as in ${example}`);
    return value;
  }

  /** Go's strconv.ParseBool. */
  boolean(key: string, absent: boolean): boolean {
    const value = this.text(key);
    if (value === undefined) return absent;
    if (/^(?:1|t|true)$/i.test(value)) return true;
    if (/^(?:0|f|false)$/i.test(value)) return false;
    throw this.wrong(`${key}=${value} makes no sense`, `${key} is true or false`);
  }

  integer(key: string, least: number, most: number): number | undefined {
    const value = this.text(key);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < least || number > most) {
      throw this.wrong(`${key}=${value} makes no sense`, `${key} is a number from ${least} to ${most}`);
    }
    return number;
  }

  /** `500m`, `2g`; bytes. */
  bytes(key: string): number | undefined {
    const value = this.text(key);
    if (value === undefined) return undefined;
    const match = /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/i.exec(value);
    if (match === null) throw this.wrong(`${key}=${value} makes no sense`, `${key} is a size, as 500m or 2g`);
    const factor = 1024 ** ' kmgt'.indexOf((match[2] ?? '').toLowerCase() || ' ');
    return Math.floor(Number(match[1]) * factor);
  }

  word<T extends string>(key: string, words: readonly T[], absent: T): T {
    const value = this.text(key);
    if (value === undefined) return absent;
    const word = words.find((known) => known === value);
    if (word === undefined) throw this.wrong(`${key}=${value} makes no sense`, `${key} is ${words.join(' or ')}`);
    return word;
  }

  wrong(message: string, hint: string): BuildError {
    return new BuildError({ code: 'usage', message: `${this.#flag}: ${message}`, hint });
  }
}

function wrong(flag: string, text: string, message: string): BuildError {
  return new BuildError({ code: 'usage', message: `${flag} ${JSON.stringify(text)}: ${message}` });
}
