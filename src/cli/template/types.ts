/** A template of Go's text/template, parsed. */
export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipe: Pipe }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

/** Commands, each getting what the one before gives as its last argument. */
export interface Pipe {
  /** `$key, $value :=` or `$value :=`. */
  readonly variables: readonly string[];
  readonly commands: readonly (readonly Operand[])[];
}

export type Operand =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | undefined }
  | { readonly kind: 'function'; readonly name: string }
  /** `.A.B`, `$x.A`, `(...).A`: from the dot, a variable, or a pipe. */
  | { readonly kind: 'path'; readonly from: string | Pipe; readonly fields: readonly string[] };
