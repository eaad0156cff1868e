import {
  BuildError,
  type BuildEventSink,
  type ExportInput,
  type ExportResult,
  type Exporter,
} from '../contracts/index.ts';
import { createExporter, type OutputSpec } from '../export/index.ts';
import { cwdOf } from './inputs/inputs.ts';
import type { BuildOptions } from './options.ts';
import type { Session } from './session.ts';
import { beginStep, type OpenStep } from './records/steps.ts';

/**
 * An exporter for each destination. Made before anything is built: what is wrong with a destination is said then.
 *
 * @throws BuildError `usage`, `export`, `permission`
 */
export async function openExporters(
  destinations: readonly OutputSpec[],
  options: BuildOptions,
  { store, registry, platforms }: Pick<Session, 'store' | 'registry' | 'platforms'>,
  attests = false,
): Promise<readonly Exporter[]> {
  const stdout = options.stdout ?? process.stdout;
  const names = options.tags ?? [];
  if (destinations.filter(({ type, ...rest }) => 'dest' in rest && rest.dest === '-' && type !== 'local').length > 1) {
    throw new BuildError({
      code: 'usage',
      message: 'standard output has room for one output',
      hint: 'give the others a file: dest=FILE',
    });
  }
  const exporters: Exporter[] = [];
  for (const spec of destinations) {
    const surroundings = { store, registry, stdout, names, platforms, attests, env: options.env, cwd: cwdOf(options) };
    exporters.push(await createExporter(spec, surroundings));
  }
  return exporters;
}

/**
 * Brings results to all destinations, and only then gives them their names: a build leads to new images everywhere or
 * nowhere.
 *
 * @param inputs One a platform.
 * @returns The image, where some destination made one.
 */
export async function exportAll(
  exporters: readonly Exporter[],
  inputs: readonly ExportInput[],
  { events, signal }: { readonly events: BuildEventSink; readonly signal: AbortSignal },
): Promise<ExportResult['image']> {
  const open: { readonly step: OpenStep; readonly result: ExportResult }[] = [];
  const published: typeof open = [];
  let step: OpenStep | undefined;
  try {
    for (const exporter of exporters) {
      step = beginStep(events, exporter.name);
      open.push({ step, result: await exporter.export(inputs, { signal, events: step.events }) });
    }
    for (const { step: own, result } of open) {
      step = own;
      await result.publish?.({ signal, events: own.events });
      published.push({ step: own, result });
      own.end();
    }
  } catch (error) {
    let said = error;
    for (const { step: own, result } of published.toReversed()) {
      said = (await result.withdraw?.(said, { signal, events: own.events })) ?? said;
    }
    step?.end(said);
    throw said;
  }
  return open.find(({ result }) => result.image !== undefined)?.result.image;
}
