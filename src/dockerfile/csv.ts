/**
 * One record of Go's encoding/csv: fields between commas, `"` around a field that holds commas, `""` for a quote
 * within. Returns the fields, or what is wrong.
 */
export function csvFields(text: string): readonly string[] | { readonly fault: string } {
  if (text === '') return { fault: 'it is empty' };
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = '';
      at++;
      for (;;) {
        const quote = text.indexOf('"', at);
        if (quote < 0) return { fault: 'a quote is not closed' };
        field += text.slice(at, quote);
        at = quote + 1;
        if (text[at] !== '"') break;
        field += '"';
        at++;
      }
      if (at < text.length && text[at] !== ',') return { fault: 'only a comma may follow a closing quote' };
      fields.push(field);
    } else {
      const comma = text.indexOf(',', at);
      const end = comma < 0 ? text.length : comma;
      const field = text.slice(at, end);
      if (field.includes('"')) return { fault: 'a quote stands inside a field that does not begin with one' };
      fields.push(field);
      at = end;
    }
    if (at >= text.length) return fields;
    at++;
  }
}
