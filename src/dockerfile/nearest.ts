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
    const edits = distance(wanted, candidate.toLowerCase());
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return (
    best ?? (wanted.length > 1 ? candidates.find((candidate) => candidate.toLowerCase().startsWith(wanted)) : undefined)
  );
}
