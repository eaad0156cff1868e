import type { VerifiedStep } from '../index.ts';

/** What `--verify-cache` found, one line a step and its paths. */
export function verifiedText(verified: readonly VerifiedStep[]): string {
  if (verified.length === 0) return 'no cached step to verify\n';
  return verified.map(stepText).join('');
}

const VERDICTS: Readonly<Record<VerifiedStep['verdict'], string>> = {
  same: 'SAME',
  'non-deterministic': 'DIFFERS',
  'wrong-key': 'WRONG',
  skipped: 'SKIPPED',
};
const EXPLAINED: Readonly<Partial<Record<VerifiedStep['verdict'], string>>> = {
  'non-deterministic': 'not deterministic: every run makes something else',
  'wrong-key': 'two new runs agree with each other, not with the cache: a wrong hit, or it depends on network or date',
};
/** Paths shown of one step. */
const PATHS_SHOWN = 10;

function stepText({ name, line, verdict, differences, note }: VerifiedStep): string {
  const why = note ?? EXPLAINED[verdict];
  const shown = differences.slice(0, PATHS_SHOWN).map(({ path, change }) => `/${path} ${change}`);
  const more = differences.length - shown.length;
  return [
    `${VERDICTS[verdict].padEnd(8)} ${line === undefined ? name : `line ${line}: ${name}`}`,
    ...(why === undefined ? [] : [`             ${why}`]),
    ...shown.map((text) => `             ${text}`),
    ...(more > 0 ? [`             and ${more} more`] : []),
    '',
  ].join('\n');
}
