/** Select Graphic Rendition: colours and weights, the only sequences that may pass. */
const sgr = /^\x1b\[[\d;:]{0,64}m$/;

/**
 * Escape sequences (ECMA-48): strings that end with BEL or ST (OSC, DCS, SOS, PM, APC: titles, clipboard, links), control
 * sequences, two-character escapes; then lone control characters of both sets and what is left of a cut sequence.
 */
const controls =
  /\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|[\x90\x98\x9d-\x9f][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|(?:\x1b\[|\x9b)[\x30-\x3f]*[\x20-\x2f]*(?:[\x40-\x7e]|$)|\x1b[\x20-\x2f]*(?:[\x30-\x7e]|$)|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Characters that change the order in which others are shown (Unicode TR9). */
const bidi = /[\u202a-\u202e\u2066-\u2069]/g;

/**
 * One line of a step's output, harmless for a terminal: colours stay (and end with the line), everything else that
 * controls the terminal goes.
 */
export function sanitizeLine(text: string, colors: boolean): string {
  const clean = text.replace(controls, (sequence) => (colors && sgr.test(sequence) ? sequence : ''));
  return clean.includes('\x1b') ? `${clean}\x1b[0m` : clean;
}

/** A name, message or status on one line, without anything that controls a terminal. */
export function sanitizeName(text: string): string {
  return text
    .replace(/[\r\n\t]+/g, ' ')
    .replace(controls, '')
    .replace(bidi, '');
}

/** A line as a terminal would be left with after carriage returns: a progress bar's last state. */
export function afterCarriageReturns(line: string): string {
  if (!line.includes('\r')) return line;
  const states = line.split('\r');
  return states.findLast((state) => state !== '') ?? '';
}
