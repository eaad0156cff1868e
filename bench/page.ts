import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { curveTable } from './curves.ts';
import { plot } from './plot.ts';
import { comparisons, markdown, runsOfBench, type Report } from './report.ts';

const PAGE = new URL('../docs/performance.md', import.meta.url);
const PLOTS = new URL('../docs/performance/', import.meta.url);

/** Puts what was measured in its places in docs/performance.md; what is written by hand around them stays. */
export function writePage(report: Report): void {
  let page = readFileSync(PAGE, 'utf8');
  const put = (place: string, text: string): void => {
    const [start, end] = [`<!-- ${place} -->`, `<!-- end of ${place} -->`];
    const [from, to] = [page.indexOf(start), page.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`docs/performance.md has no place for ${place}`);
    page = `${page.slice(0, from + start.length)}\n\n${text.trim()}\n\n${page.slice(to)}`;
  };
  const tools = Object.values(report.tools).map((version) => `- ${version.split('\n')[0]}`);
  put('machine', [`Measured on ${report.date}, ${runsOfBench(report)}: ${report.machine}.`, '', ...tools].join('\n'));
  put('table', `${markdown(report)}\n${comparisons(report)}`);
  if (report.curves.length > 0) {
    mkdirSync(PLOTS, { recursive: true });
    const parts = report.curves.map((curve) => {
      writeFileSync(new URL(`${curve.id}.svg`, PLOTS), plot(curve));
      return `![${curve.title}](performance/${curve.id}.svg)\n\n${curveTable(curve)}`;
    });
    put('curves', parts.join('\n'));
  }
  writeFileSync(PAGE, page);
}
