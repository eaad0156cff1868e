/** One challenge of a `WWW-Authenticate` header (RFC 9110, 11.6.1). */
export interface Challenge {
  /** Lower-case, as `bearer`. */
  readonly scheme: string;
  /** Lower-case names. */
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * Reads the header's challenges; whatever does not fit the grammar is skipped. Quoted values may hold commas, and
 * several challenges may share a line.
 */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  // A parameter `name = token | "quoted"`, or a scheme: a token that no `=` follows.
  const piece = /([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/g;
  for (const match of header.slice(0, 8192).matchAll(piece)) {
    const [, name, quoted, token] = match;
    if (name === undefined) continue;
    const value = quoted?.replace(/\\(.)/g, '$1') ?? token;
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: {} });
    else {
      const parameters = challenges.at(-1)?.parameters;
      if (parameters !== undefined) parameters[name.toLowerCase()] ??= value;
    }
  }
  return challenges;
}
