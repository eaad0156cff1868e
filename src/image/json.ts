/**
 * Reading JSON that somebody else wrote: every value is checked for its type before it is used, and an error names the
 * place. A `null` counts as absent, as Go's encoder writes nil slices and maps.
 */
import { BuildError, isDigest } from '../contracts/index.ts';
import type { Digest, ErrorCode } from '../contracts/index.ts';

/** What is being read, for errors. */
export interface Subject {
  /** As `manifest of docker.io/library/alpine:latest`. */
  readonly name: string;
  /** Default `registry`. */
  readonly code?: ErrorCode | undefined;
}

export class JsonReader {
  readonly #subject: Subject;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  /** @throws BuildError when `bytes` are longer than `limit`, not UTF-8 or not JSON. */
  parse(bytes: Uint8Array, limit: number): unknown {
    if (bytes.length > limit) throw this.fail(`is larger than ${limit} bytes`);
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
    } catch (cause) {
      throw this.fail('is not JSON', cause);
    }
  }

  fail(reason: string, cause?: unknown): BuildError {
    const { name, code = 'registry' } = this.#subject;
    return new BuildError({ code, message: `${name} cannot be used: it ${reason}`, cause });
  }

  object(value: unknown, at: string): Readonly<Record<string, unknown>> {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.#wrong(at, 'an object');
    return value as Readonly<Record<string, unknown>>;
  }

  /** Empty when absent. */
  array(value: unknown, at: string, limit: number): readonly unknown[] {
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) throw this.#wrong(at, 'an array');
    if (value.length > limit) throw this.fail(`has more than ${limit} entries in ${at}`);
    return value;
  }

  string(value: unknown, at: string): string {
    if (typeof value !== 'string') throw this.#wrong(at, 'a string');
    return value;
  }

  optionalString(value: unknown, at: string): string | undefined {
    return value === undefined || value === null ? undefined : this.string(value, at);
  }

  strings(value: unknown, at: string, limit = 10_000): readonly string[] | undefined {
    if (value === undefined || value === null) return undefined;
    return this.array(value, at, limit).map((item, i) => this.string(item, `${at}[${i}]`));
  }

  boolean(value: unknown, at: string): boolean | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'boolean') throw this.#wrong(at, 'true or false');
    return value;
  }

  integer(value: unknown, at: string): number | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw this.#wrong(at, 'an integer');
    return value;
  }

  /** A byte count: 0 or more. */
  size(value: unknown, at: string): number {
    const size = this.integer(value, at);
    if (size === undefined || size < 0) throw this.#wrong(at, 'a size in bytes');
    return size;
  }

  digest(value: unknown, at: string): Digest {
    const text = this.string(value, at);
    if (!isDigest(text)) throw this.#wrong(at, 'a sha256 digest');
    return text;
  }

  /** A map of strings. */
  stringMap(value: unknown, at: string): Readonly<Record<string, string>> | undefined {
    if (value === undefined || value === null) return undefined;
    const entries = Object.entries(this.object(value, at));
    return Object.fromEntries(entries.map(([key, item]) => [key, this.string(item, `${at}.${key}`)]));
  }

  /** Go's `map[string]struct{}`: a set of strings. */
  stringSet(value: unknown, at: string): Readonly<Record<string, Record<string, never>>> | undefined {
    if (value === undefined || value === null) return undefined;
    return Object.fromEntries(Object.keys(this.object(value, at)).map((key) => [key, {}]));
  }

  #wrong(at: string, wanted: string): BuildError {
    return this.fail(`has no valid "${at}" (${wanted} is wanted)`);
  }
}

/** The object without its undefined values, so that it serializes as it reads. */
export function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}
