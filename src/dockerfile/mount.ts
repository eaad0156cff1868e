import { BuildError, type SourceLocation } from '../contracts/index.ts';
import { csvFields } from './csv.ts';
import { parseBool, parseBytes, parseUint32 } from './go-values.ts';
import { nearest } from './nearest.ts';

/** Owner and permissions, where a mount takes them. */
interface MountOwner {
  /** Permission bits. */
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/**
 * One `RUN --mount` value. Paths are as written: relative targets are under WORKDIR, a target `/` is for the front end to
 * refuse. `target` and `source` are '' where they were not given.
 */
export type Mount =
  | {
      readonly type: 'bind';
      /** Stage, image or named context; undefined = the build context. */
      readonly from: string | undefined;
      readonly source: string;
      readonly target: string;
      readonly readonly: boolean;
    }
  | (MountOwner & {
      readonly type: 'cache';
      /** Undefined = the cleaned target. */
      readonly id: string | undefined;
      /** What seeds an empty cache; undefined = nothing. */
      readonly from: string | undefined;
      readonly source: string;
      readonly target: string;
      readonly sharing: 'shared' | 'private' | 'locked';
      readonly readonly: boolean;
    })
  | (MountOwner & {
      readonly type: 'secret';
      /** `id` or `source`, else the last part of the target. */
      readonly id: string;
      /** Where the file goes, `/run/secrets/<id>` by default; undefined when `env` alone was asked for. */
      readonly target: string | undefined;
      readonly env: string | undefined;
      readonly required: boolean;
    })
  | (MountOwner & {
      readonly type: 'ssh';
      /** Undefined = `default`. */
      readonly id: string | undefined;
      /** Undefined = `/run/buildkit/ssh_agent.N`. */
      readonly target: string | undefined;
      readonly required: boolean;
    })
  | {
      readonly type: 'tmpfs';
      readonly readonly: boolean;
      readonly target: string;
      /** Bytes; undefined = the kernel's default. */
      readonly size: number | undefined;
    };

/** Expands the variables of a value. */
export type MountExpander = (value: string) => string;

const TYPES = ['bind', 'cache', 'secret', 'ssh', 'tmpfs'] as const;
const SHARING = ['shared', 'private', 'locked'] as const;
const KEYS = [
  'type',
  'from',
  'source',
  'target',
  'readonly',
  'id',
  'sharing',
  'required',
  'size',
  'mode',
  'uid',
  'gid',
  'env',
  'src',
  'dst',
  'destination',
  'ro',
  'rw',
  'readwrite',
];

type MountType = (typeof TYPES)[number];

/** Fields as read, before they become one of the union. */
interface MountFields {
  type: MountType;
  from: string;
  source: string;
  target: string;
  readonly: boolean | undefined;
  id: string;
  sharing: (typeof SHARING)[number] | undefined;
  required: boolean;
  size: number | undefined;
  mode: number | undefined;
  uid: number | undefined;
  gid: number | undefined;
  env: string | undefined;
}

function mountError(message: string, hint: string | undefined, location: SourceLocation | undefined): BuildError {
  return new BuildError({ code: 'dockerfile', message, hint, location });
}

function fieldsOf(
  csv: string,
  location: SourceLocation | undefined,
): readonly { key: string; value: string | undefined; field: string }[] {
  const fields = csvFields(csv);
  if ('fault' in fields) {
    throw mountError(
      `--mount=${csv} cannot be read: ${fields.fault}`,
      'write --mount=type=cache,target=/path; a value with a comma goes into quotes with its key: \\"source=a,b\\"',
      location,
    );
  }
  return fields.map((field) => {
    const equals = field.indexOf('=');
    return equals < 0
      ? { key: field.toLowerCase(), value: undefined, field }
      : { key: field.slice(0, equals).toLowerCase(), value: field.slice(equals + 1), field };
  });
}

/**
 * What is known of a mount before its variables are: that it is a CSV record, and that `from` has no variable.
 * Errors: `dockerfile`.
 */
export function checkMount(csv: string, location: SourceLocation): void {
  for (const { key, value } of fieldsOf(csv, location)) refuseVariable(key, value, location);
}

/** The graph of stages must be known before any variable is. */
function refuseVariable(key: string, value: string | undefined, location: SourceLocation | undefined): void {
  if (key !== 'from' || value === undefined || !/\$./s.test(value)) return;
  throw mountError(
    `from=${value} of --mount cannot hold a variable`,
    'write FROM with the variable as a stage of its own with AS, and name that stage in from=',
    location,
  );
}

/**
 * Parses one `RUN --mount` value as BuildKit's instructions/commands_runmount.go. Keys are in any case; `size` and
 * `required` come after `type`. `expand` is given every value but that of `from`.
 *
 * Errors: `dockerfile` at `location` for whatever BuildKit refuses.
 */
export function parseMount(csv: string, expand: MountExpander = (value) => value, location?: SourceLocation): Mount {
  const mount: MountFields = {
    type: 'bind',
    from: '',
    source: '',
    target: '',
    readonly: undefined,
    id: '',
    sharing: undefined,
    required: false,
    size: undefined,
    mode: undefined,
    uid: undefined,
    gid: undefined,
    env: undefined,
  };
  for (const { key, value, field } of fieldsOf(csv, location)) {
    refuseVariable(key, value, location);
    const expanded = value === undefined || key === 'from' ? value : expand(value);
    setField(mount, key, expanded, field, location);
  }
  return finish(mount, location);
}

function setField(
  mount: MountFields,
  key: string,
  value: string | undefined,
  field: string,
  location: SourceLocation | undefined,
): void {
  const bad = (message: string, hint?: string): BuildError => mountError(message, hint, location);
  const misplaced = (): BuildError => bad(`${key} is no option of a ${mount.type} mount`, `write type= before ${key}`);
  const flag = (): boolean => {
    const parsed = value === undefined ? true : parseBool(value);
    if (parsed === undefined) throw bad(`${key} of --mount is true or false, not ${JSON.stringify(value)}`);
    return parsed;
  };
  switch (key) {
    case 'readonly':
    case 'ro':
      mount.readonly = flag();
      return;
    case 'readwrite':
    case 'rw':
      mount.readonly = !flag();
      return;
    case 'required':
      if (mount.type !== 'secret' && mount.type !== 'ssh') throw misplaced();
      mount.required = flag();
      return;
  }
  if (!KEYS.includes(key)) {
    const near = nearest(key, KEYS);
    throw bad(
      `${JSON.stringify(field)} is no option of --mount`,
      near === undefined ? `options are ${KEYS.join(', ')}` : `did you mean ${near}?`,
    );
  }
  if (value === undefined) throw bad(`${key} of --mount has no value`, `write ${key}=value`);
  switch (key) {
    case 'type':
      mount.type = oneOf(TYPES, value, 'mount type', bad);
      return;
    case 'sharing':
      mount.sharing = oneOf(SHARING, value, 'sharing mode', bad);
      return;
    case 'from':
      mount.from = value;
      return;
    case 'source':
    case 'src':
      mount.source = value;
      return;
    case 'target':
    case 'dst':
    case 'destination':
      mount.target = value;
      return;
    case 'id':
      mount.id = value;
      return;
    case 'env':
      mount.env = value;
      return;
    case 'size':
      if (mount.type !== 'tmpfs') throw misplaced();
      mount.size = parseBytes(value);
      if (mount.size === undefined) throw bad(`size=${value} is no size`, 'write a number with a unit, as 64m or 1g');
      return;
    case 'mode':
      mount.mode = parseUint32(value, 8);
      if (mount.mode === undefined) throw bad(`mode=${value} is no mode`, 'write it in octal, as 0755');
      return;
    case 'uid':
    case 'gid':
      mount[key] = parseUint32(value, 10);
      if (mount[key] === undefined) throw bad(`${key}=${value} is no number`);
      return;
  }
}

function oneOf<T extends string>(
  known: readonly T[],
  value: string,
  what: string,
  bad: (message: string, hint?: string) => BuildError,
): T {
  const found = known.find((candidate) => candidate === value.toLowerCase());
  if (found !== undefined) return found;
  const near = nearest(value, known);
  throw bad(
    `${JSON.stringify(value)} is no ${what}`,
    near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`,
  );
}

function finish(mount: MountFields, location: SourceLocation | undefined): Mount {
  const { type, source, target, mode, uid, gid } = mount;
  const bad = (message: string, hint?: string): BuildError => mountError(message, hint, location);
  const from = mount.from === '' ? undefined : mount.from;
  if (type === 'bind' || type === 'tmpfs') {
    for (const key of ['mode', 'uid', 'gid'] as const) {
      if (mount[key] !== undefined) throw bad(`${key} is no option of a ${type} mount`);
    }
  }
  if (type === 'secret' && from !== undefined) throw bad('a secret mount has no from');
  if (type !== 'cache' && mount.sharing !== undefined) throw bad(`a ${type} mount has no sharing`);
  switch (type) {
    case 'bind':
      return { type, from, source, target, readonly: mount.readonly ?? true };
    case 'tmpfs':
      return { type, target, size: mount.size, readonly: mount.readonly ?? false };
    case 'cache': {
      const id = mount.id === '' ? undefined : mount.id;
      const sharing = mount.sharing ?? 'shared';
      return { type, id, from, source, target, sharing, readonly: mount.readonly ?? false, mode, uid, gid };
    }
    case 'secret': {
      if (source !== '' && mount.id !== '') throw bad('a secret mount has id or source, not both');
      const id = source !== '' ? source : mount.id !== '' ? mount.id : lastPart(target);
      if (id === '') throw bad('a secret mount needs an id', 'write --mount=type=secret,id=name');
      const file = target !== '' ? target : mount.env === undefined ? `/run/secrets/${lastPart(id)}` : undefined;
      return { type, id, target: file, env: mount.env, required: mount.required, mode, uid, gid };
    }
    case 'ssh': {
      // An id may be given as source too, as for secrets.
      const id = source !== '' ? source : mount.id === '' ? undefined : mount.id;
      return { type, id, target: target === '' ? undefined : target, required: mount.required, mode, uid, gid };
    }
  }
}

function lastPart(path: string): string {
  return path.replace(/\/+$/, '').replace(/^.*\//s, '');
}
