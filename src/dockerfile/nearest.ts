import { distance } from 'fastest-levenshtein';

/**
 * The candidate that was probably meant, for "did you mean": one that begins with the word, or the one with the fewest
 * edits if these are few for its length. Undefined when nothing is near. Letter case does not count.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  if (wanted === '') return undefined;
  const allowed = wanted.length < 5 ? 1 : wanted.length < 8 ? 2 : 3;
  let best: string | undefined;
  let bestEdits = allowed + 1;
  for (const candidate of candidates) {
    const edits = isSwap(wanted, candidate.toLowerCase()) ? 1 : distance(wanted, candidate.toLowerCase());
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return (
    best ?? (wanted.length > 1 ? candidates.find((candidate) => candidate.toLowerCase().startsWith(wanted)) : undefined)
  );
}

/** Two neighbours changed places: FORM for FROM. Common, and two edits for Levenshtein. */
function isSwap(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return at + 1 < a.length && a[at] === b[at + 1] && a[at + 1] === b[at] && a.slice(at + 2) === b.slice(at + 2);
}

/** Whether two words differ by one edit or one swap of neighbours: a slip, where {@link nearest} also takes guesses. */
export function isSlip(a: string, b: string): boolean {
  return a !== b && (isSwap(a, b) || distance(a, b) === 1);
}
