import type { LayerId } from '../contracts/index.ts';

/**
 * The layers of a result as its row holds them: one list an output. A result that stands on a thousand steps has a
 * thousand layers, and so has the next one on top of it; but layers that were made one after the other are numbered so
 * (`layer-ids.ts`), and of such a run the row names the first and how many follow: `"2000+999"`.
 */
export function encodeOutputs(outputs: readonly (readonly LayerId[])[]): string {
  return JSON.stringify(outputs.map(runsOf));
}

/** What {@link encodeOutputs} was given. */
export function decodeOutputs(text: unknown): readonly (readonly LayerId[])[] {
  return (JSON.parse(String(text)) as string[][]).map((runs) => runs.flatMap(layersOf));
}

function runsOf(layers: readonly LayerId[]): readonly string[] {
  const runs: string[] = [];
  let first = '';
  let more = 0;
  let next = NaN;
  const close = (): void => {
    if (first !== '') runs.push(more === 0 ? first : `${first}+${more}`);
  };
  for (const id of layers) {
    const number = numberOf(id);
    if (number === next) more++;
    else {
      close();
      first = id;
      more = 0;
    }
    next = number + 1;
  }
  close();
  return runs;
}

function layersOf(run: string): LayerId | readonly LayerId[] {
  const plus = run.indexOf('+');
  if (plus < 0) return run;
  const first = numberOf(run.slice(0, plus));
  return Array.from({ length: Number(run.slice(plus + 1)) + 1 }, (_, i) => (first + i).toString(36));
}

/** The number that an id is in base 36; NaN for one that is written in no such way, which then is in no run. */
function numberOf(id: LayerId): number {
  let number = 0;
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i);
    const digit = code >= 0x30 && code <= 0x39 ? code - 0x30 : code >= 0x61 && code <= 0x7a ? code - 0x57 : NaN;
    if (digit === 0 && i === 0) return NaN;
    number = number * 36 + digit;
  }
  return number < Number.MAX_SAFE_INTEGER ? number : NaN;
}
