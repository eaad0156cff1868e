import type { Curve } from './curves.ts';

const WIDTH = 640;
const HEIGHT = 300;
const LEFT = 64;
const RIGHT = 24;
const TOP = 40;
const BOTTOM = 52;
/** One colour a series; they can be told apart in grey. */
const COLOURS = ['#0b5fa5', '#c2410c', '#4d7c0f', '#7c3aed'];

/** A curve as SVG: both axes logarithmic, so that a straight line at 45 degrees is "twice as much takes twice as long". */
export function plot({ title, unit, series }: Curve): string {
  const points = series.flatMap(({ points: own }) => own);
  const [xMin, xMax] = range(points.map(({ x }) => x));
  const [yMin, yMax] = range(points.map(({ seconds }) => seconds));
  const x = (value: number) => LEFT + share(value, xMin, xMax) * (WIDTH - LEFT - RIGHT);
  const y = (value: number) => HEIGHT - BOTTOM - share(value, yMin, yMax) * (HEIGHT - TOP - BOTTOM);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title><rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="20" font-size="14">${title}</text>`,
    `<text x="${WIDTH - RIGHT}" y="${HEIGHT - 10}" text-anchor="end">${unit}</text>`,
    `<text x="8" y="${TOP - 8}">seconds</text>`,
  ];
  for (const tick of decades(xMin, xMax)) {
    parts.push(
      `<path d="M${x(tick)} ${TOP}V${HEIGHT - BOTTOM}" stroke="#ddd"/>`,
      `<text x="${x(tick)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${short(tick)}</text>`,
    );
  }
  for (const tick of decades(yMin, yMax)) {
    parts.push(
      `<path d="M${LEFT} ${y(tick)}H${WIDTH - RIGHT}" stroke="#ddd"/>`,
      `<text x="${LEFT - 6}" y="${y(tick) + 4}" text-anchor="end">${short(tick)}</text>`,
    );
  }
  for (const [i, { name, points: own }] of series.entries()) {
    const colour = COLOURS[i % COLOURS.length] ?? '#000';
    const path = own.map((point) => `${x(point.x).toFixed(1)} ${y(point.seconds).toFixed(1)}`).join('L');
    parts.push(`<path d="M${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const point of own)
      parts.push(
        `<circle cx="${x(point.x).toFixed(1)}" cy="${y(point.seconds).toFixed(1)}" r="3.5" fill="${colour}"/>`,
      );
    parts.push(`<text x="${LEFT + i * 190}" y="${HEIGHT - 10}" fill="${colour}">${name}</text>`);
  }
  return `${parts.join('\n')}\n</svg>\n`;
}

function range(values: readonly number[]): readonly [number, number] {
  const low = 10 ** Math.floor(Math.log10(Math.min(...values)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values)));
  return [low, high > low ? high : low * 10];
}

function share(value: number, min: number, max: number): number {
  return (Math.log10(value) - Math.log10(min)) / (Math.log10(max) - Math.log10(min));
}

function decades(min: number, max: number): readonly number[] {
  const ticks: number[] = [];
  for (let tick = min; tick <= max * 1.001; tick *= 10) ticks.push(Number(tick.toPrecision(1)));
  return ticks;
}

function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6}M`;
  return value >= 1000 ? `${value / 1000}k` : String(value);
}
