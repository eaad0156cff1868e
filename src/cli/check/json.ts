import type { BuildError, CheckResult, SourceFile, SourceLocation, SourceRange } from '../../index.ts';

/**
 * The object that `docker build --call=check,format=json` prints (BuildKit: frontend/subrequests/lint), with severity,
 * hint and repair of each finding besides.
 */
export function checkJson({ findings, errors, file }: CheckResult): object {
  const [buildError] = errors;
  return {
    warnings: findings.map(({ rule, url, message, hint, location, edits }) => ({
      ruleName: rule.name,
      description: rule.description,
      url,
      detail: message,
      location: jsonLocation(location),
      severity: rule.severity,
      hint,
      fixable: edits.length > 0,
    })),
    sources: [jsonSource(file)],
    buildError: buildError === undefined ? undefined : jsonError(buildError),
    errors: errors.map((error) => ({ code: error.code, hint: error.hint, ...jsonError(error) })),
  };
}

function jsonError({ message, location }: BuildError): object {
  return { message, location: location === undefined ? undefined : jsonLocation(location) };
}

function jsonSource({ filename, language, text }: SourceFile): object {
  return { filename, language, data: Buffer.from(text).toString('base64') };
}

export function jsonLocation({ ranges }: Pick<SourceLocation, 'ranges'>): object {
  return { ranges: ranges.map(jsonRange) };
}

/** As protobuf's JSON form: what is 0 is left out. */
function jsonRange({ start, end }: SourceRange): object {
  const position = ({ line, column }: SourceRange['start']): object => ({
    line,
    ...(column === 0 ? {} : { character: column }),
  });
  return { start: position(start), end: position(end) };
}

export function printJson(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
