/**
 * Paragraphs of `Name: value` lines with an empty line between them: dpkg's status (deb822), wheels' METADATA and
 * PKG-INFO (RFC 822).
 */
export type Paragraph = ReadonlyMap<string, string>;

/** Names in lower case; continuation lines keep to the value; the first of equal names counts. */
export function parseParagraphs(text: string): readonly Paragraph[] {
  return text
    .split(/\r?\n[ \t]*\r?\n/)
    .map(parseParagraph)
    .filter((paragraph) => paragraph.size > 0);
}

/** @param text Ends with the first empty line. */
export function parseParagraph(text: string): Paragraph {
  const fields = new Map<string, string>();
  let name: string | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (/^[ \t]/.test(line)) {
      if (name !== undefined) fields.set(name, `${fields.get(name) ?? ''}\n${line.trim()}`);
      continue;
    }
    const colon = line.indexOf(':');
    if (colon <= 0) {
      if (line === '' && fields.size > 0) break;
      name = undefined;
      continue;
    }
    const next = line.slice(0, colon).toLowerCase();
    name = fields.has(next) ? undefined : next;
    if (name !== undefined) fields.set(name, line.slice(colon + 1).trim());
  }
  return fields;
}
