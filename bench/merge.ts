import type { Report } from './report.ts';

/**
 * Puts what was measured again in the place of what was: whole workloads, as their cases belong together, and curves.
 * The rest stays. Which of them were measured in one run, `measured` of each says.
 *
 * @throws Error where the parts are of other tools or another machine: a table compares within one of each.
 */
export function merge(report: Report, part: Report): Report {
  if (report.machine !== part.machine) throw new Error(`measured on another machine: ${part.machine}`);
  for (const [tool, version] of Object.entries(part.tools)) {
    const known = report.tools[tool as keyof Report['tools']];
    if (known !== undefined && known !== version) throw new Error(`measured with another ${tool}: ${version}`);
  }
  const lacking = Object.keys(report.tools).filter((tool) => !(tool in part.tools));
  if (lacking.length > 0) throw new Error(`measured without ${lacking.join(', ')}`);
  return {
    ...report,
    tools: { ...report.tools, ...part.tools },
    workloads: replaced(report.workloads, part.workloads).sort((a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1))),
    curves: replaced(report.curves, part.curves),
  };
}

function replaced<T extends { readonly id: string }>(all: readonly T[], by: readonly T[]): T[] {
  const kept = all.map((known) => by.find(({ id }) => id === known.id) ?? known);
  return [...kept, ...by.filter(({ id }) => !all.some((known) => known.id === id))];
}
