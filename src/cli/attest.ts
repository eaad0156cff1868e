import { showAttestations, type ShownAttestation } from '../index.ts';
import { usage, type Command, type Io } from './command.ts';
import { table } from './table.ts';

/** Short names of what is said, for `--type`. */
const TYPES: Readonly<Record<string, RegExp>> = {
  provenance: /^https:\/\/slsa\.dev\/provenance\//,
  sbom: /^https:\/\/spdx\.dev\/Document/,
};

export const attestCommand: Command = {
  name: 'attest',
  usage: 'show [OPTIONS] IMAGE',
  summary: 'Shows what is said of an image beside it: from what it was built, and what is in it.',
  flags: [
    { name: 'json', help: 'The in-toto statements, as a JSON array' },
    { name: 'platform', value: 'OS/ARCH', help: 'Only of the image of this platform' },
    { name: 'type', value: 'TYPE', help: 'Only provenance, or sbom; one alone is printed whole, without a table' },
  ],
  async run(parsed, io) {
    const [verb, image, ...more] = parsed.positionals;
    if (verb !== 'show')
      throw usage(attestCommand, verb === undefined ? 'attest needs a command' : `attest has no ${verb}`);
    if (image === undefined || more.length > 0) throw usage(attestCommand, 'attest show takes one image');
    const type = parsed.text('type');
    const pattern = type === undefined ? undefined : TYPES[type];
    if (type !== undefined && pattern === undefined)
      throw usage(attestCommand, `--type takes ${Object.keys(TYPES).join(' or ')}, not "${type}"`);
    const platform = parsed.text('platform');
    const found = (await showAttestations(image, { env: io.env, signal: io.signal })).filter(
      (one) =>
        (pattern === undefined || pattern.test(one.predicateType)) &&
        (platform === undefined || one.platform === platform),
    );
    const [only] = found;
    if (parsed.on('json')) await write(io, json(found.map(({ statement }) => statement)));
    else if (type !== undefined && only !== undefined && found.length === 1)
      await write(io, json(only.statement['predicate']));
    else if (only === undefined) io.stderr.write(`nothing is said of ${image}\n`);
    else await write(io, table(['PLATFORM', 'PREDICATE', 'DIGEST', 'SAYS'], found.map(row)));
    return only === undefined ? 1 : 0;
  },
};

/** Waits until a pipe has taken it all: the process ends when the command does. */
async function write({ stdout }: Io, text: string): Promise<void> {
  await new Promise<void>((resolve) => stdout.write(text, () => resolve()));
}

function row({ platform, predicateType, digest, statement }: ShownAttestation): string[] {
  return [platform, predicateType, digest.slice('sha256:'.length).slice(0, 12), says(statement['predicate'])];
}

/** The predicate in a few words. */
function says(predicate: unknown): string {
  const at = (value: unknown, key: string): unknown =>
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  const packages = at(predicate, 'packages');
  // The image is one of them.
  if (Array.isArray(packages)) return `${Math.max(0, packages.length - 1)} packages`;
  const materials = at(at(predicate, 'buildDefinition'), 'resolvedDependencies') ?? at(predicate, 'materials');
  return Array.isArray(materials) ? `${materials.length} materials` : '';
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
