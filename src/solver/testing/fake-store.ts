import { setTimeout } from 'node:timers/promises';
import type { CacheRecord, Store } from '../../store/index.ts';

/** Records and locks in memory; a store that several engines share. */
export class FakeStore {
  readonly records = new Map<string, CacheRecord>();
  readonly aliases = new Map<string, string>();
  readonly locks = new Set<string>();
  locked = 0;

  /** All trees are at hand. */
  layer(): { readonly hasTree: boolean } {
    return { hasTree: true };
  }
  findRecord(key: string): CacheRecord | undefined {
    return this.records.get(key) ?? this.records.get(this.aliases.get(key) ?? '');
  }
  saveRecord(record: CacheRecord): void {
    this.records.set(record.key, record);
  }
  aliasRecord(alias: string, key: string): void {
    this.aliases.set(alias, key);
  }
  async lock(name: string, { signal }: { signal?: AbortSignal }): Promise<{ release(): void }> {
    while (this.locks.has(name)) await setTimeout(1, undefined, { signal });
    this.locks.add(name);
    this.locked++;
    return { release: () => void this.locks.delete(name) };
  }

  /** As a Store, of which nothing else is used. */
  get store(): Store {
    return this as unknown as Store;
  }
}
