import type { SourceRange } from '../../../contracts/index.ts';
import { textOf } from '../../../dockerfile/index.ts';
import type { Place, Report, Rule } from '../../../dockerfile/index.ts';
import type { BuildView } from '../view.ts';

/** Tokens that cannot be taken for anything else, by the form that their issuers gave them. */
const TOKENS: readonly (readonly [what: string, form: RegExp])[] = [
  ['an AWS access key', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/],
  ['a GitHub token', /\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_\w{22,}\b/],
  ['a GitLab token', /\bglpat-[\w-]{20,}/],
  ['an npm token', /\bnpm_[A-Za-z0-9]{36}\b/],
  ['a PyPI token', /\bpypi-[\w-]{50,}/],
  ['a Slack token', /\bxox[abprs]-[\w-]{10,}/],
  ['a Stripe key', /\b[rs]k_live_[0-9A-Za-z]{16,}/],
  ['a Google API key', /\bAIza[\w-]{35}\b/],
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ['a JSON web token', /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/],
  ['a password in a URL', /(?<=\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:@/$'"]{1,64}:)[^\s:@/$'"<>{}]{3,128}(?=@[\w-])/],
];
/** What stands for a password in examples. */
const PLACEHOLDER = /^(?:pass(?:word|wd)?|secret|user(?:name)?|root|admin|postgres|example|change-?me|x+|\*+|\.+)$/i;

export const hardcodedSecret: Rule<BuildView> = {
  name: 'HardcodedSecret',
  severity: 'error',
  description: 'No key, token or password stands in the file',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'Whoever has the file or the image has it: ENV is in the config, ARG and RUN are in the history. Take it out, make it invalid where it was issued, and pass the new one by `RUN --mount=type=secret`. Only forms that cannot be taken for anything else are reported; the text itself is never shown.',
    bad: 'FROM alpine\nENV AWS_ID=AKIAIOSFODNN7EXAMPLE\nRUN ./deploy',
    good: 'FROM alpine\nRUN --mount=type=secret,id=aws,env=AWS_ID ./deploy',
  },
  *check({ dockerfile, stages }): Iterable<Report> {
    const places: Place[] = [
      ...dockerfile.globalArgs,
      ...stages.flatMap(({ steps }) => steps.flatMap((step) => (step.onBuild ? [] : step))),
    ];
    for (const place of places) {
      const text = textOf(dockerfile.file.text, place.range);
      for (const [what, form] of TOKENS) {
        const match = form.exec(text);
        if (match === null || PLACEHOLDER.test(match[0])) continue;
        const range = rangeWithin(place.range, text, match.index, match[0].length);
        yield {
          message: `${what} stands in the file`,
          hint: 'take it out and make it invalid; pass secrets by RUN --mount=type=secret and --secret',
          place,
          range,
          hidden: [range],
        };
      }
    }
  },
};

/** The place of a part of the text of a range. No match spans lines. */
function rangeWithin({ start }: SourceRange, text: string, at: number, length: number): SourceRange {
  const before = text.slice(0, at).split('\n');
  const line = start.line + before.length - 1;
  const column = (before.length === 1 ? start.column : 0) + (before.at(-1)?.length ?? 0);
  return { start: { line, column }, end: { line, column: column + length } };
}
