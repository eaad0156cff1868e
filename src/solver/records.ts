import type { Snapshot, Worker } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { CacheRecord, Store } from '../store/index.ts';
import { makeKey } from './keys.ts';
import type { Lookup } from './lookup.ts';
import { scrub, withoutCredentials } from '../progress/index.ts';
import { vertexName } from './names.ts';
import { describeInputs, type RecordInputs } from './record-inputs.ts';
import { recordOf, type RemoteRecords } from './remote-records.ts';

/** The outcome of a vertex. */
export interface Solved {
  /** Names the record; what runs on top of it is keyed by this. */
  readonly key: string;
  /** One an output. */
  readonly snapshots: readonly Snapshot[];
  /** Trees only: the vertex has to run again before anybody can read bytes. */
  readonly virtual: boolean;
}

/** Results of this and earlier builds. */
export interface Records {
  /**
   * Undefined when there is no record, or a layer of it is gone.
   *
   * @param key Of any kind.
   * @param remote Also ask for results of other machines; what is found there is kept.
   */
  find(key: string, remote?: { readonly vertex: Vertex; readonly definition: string }): Promise<Solved | undefined>;
  /** The record of the same name, if it has other layers by now. */
  findAnother(known: Solved): Promise<Solved | undefined>;
  /**
   * The name of a new record. One that replaces another under the same lookup key gets a name of its own, so that nothing made
   * on top of the replaced one is taken for being made on top of it.
   */
  nameFor(lookup: Lookup, replaces: boolean): string;
  save(vertex: Vertex, solved: Solved, lookup: Lookup, definition: string, source: string | undefined): void;
  /** The definition key leads to this record too. */
  alias(definition: string, record: string): void;
}

/** @param nonce Of this solve. */
export function createRecords(
  {
    store,
    worker,
    remote,
  }: { readonly store: Store; readonly worker: Worker; readonly remote?: RemoteRecords | undefined },
  nonce: string,
): Records {
  const find: Records['find'] = async (key, asked) => {
    const known = await open(store.findRecord(key));
    if (known !== undefined || remote === undefined || asked === undefined) return known;
    const offered = await remote.find(key);
    const record = offered === undefined ? undefined : recordOf(offered, asked.vertex, asked.definition);
    const opened = await open(record);
    if (opened === undefined || record === undefined || offered === undefined) return undefined;
    store.saveRecord(record);
    store.aliasRecord(offered.lookup, record.key);
    store.aliasRecord(asked.definition, record.key);
    return opened;
  };

  const open = async (record: CacheRecord | undefined): Promise<Solved | undefined> => {
    if (record === undefined) return undefined;
    const opened = await Promise.all(record.outputs.map((layers) => worker.open(layers)));
    const snapshots: Snapshot[] = [];
    let virtual = false;
    for (const output of opened) {
      if (output === undefined) return undefined;
      snapshots.push(output.snapshot);
      virtual ||= output.virtual;
    }
    return { key: record.key, snapshots, virtual };
  };

  return {
    find,
    async findAnother({ key, snapshots }) {
      const record = store.findRecord(key);
      if (record === undefined || sameOutputs(record.outputs, layerIds(snapshots))) return undefined;
      return find(key);
    },
    nameFor({ key }, replaces) {
      return makeKey('record', replaces && store.findRecord(key) !== undefined ? [key, nonce] : [key]);
    },
    save(vertex, { key, snapshots }, lookup, definition, source) {
      if (snapshots.some(({ inPlace }) => inPlace)) return;
      const outputs = layerIds(snapshots);
      const known = store.findRecord(definition);
      if (known?.key === key && sameOutputs(known.outputs, outputs)) return;
      const inputs: RecordInputs = {
        version: 1,
        lookup: lookup.key,
        definition,
        op: lookup.op,
        inputs: describeInputs(vertex, lookup.content, lookup.records),
        source,
      };
      const description = withoutCredentials(vertexName(vertex));
      const parents = lookup.records;
      store.saveRecord({
        key,
        outputs,
        created: Date.now(),
        description,
        inputs: JSON.stringify(scrub(inputs)),
        parents,
      });
      store.aliasRecord(lookup.key, key);
      store.aliasRecord(definition, key);
    },
    alias: (definition, record) => store.aliasRecord(definition, record),
  };
}

function layerIds(snapshots: readonly Snapshot[]): readonly (readonly string[])[] {
  return snapshots.map(({ layers }) => layers.map(({ id }) => id));
}

function sameOutputs(a: readonly (readonly string[])[], b: readonly (readonly string[])[]): boolean {
  return a.length === b.length && a.every((layers, i) => layers.join() === b[i]?.join());
}
