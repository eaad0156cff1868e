import { at, callFunction, isTrue, show, type Value } from './functions.ts';
import { templateError } from './parse.ts';
import type { Node, Operand, Pipe } from './types.ts';

/**
 * What a template prints of a value.
 *
 * @throws BuildError `usage` for a field that the value lacks
 */
export function runTemplate(nodes: readonly Node[], data: Value, template: string): string {
  return new Run(template, data).nodes(nodes, { dot: data, variables: new Map([['$', data]]) });
}

interface Scope {
  readonly dot: Value;
  readonly variables: Map<string, Value>;
}

class Run {
  readonly #template: string;
  readonly #root: Value;

  constructor(template: string, root: Value) {
    this.#template = template;
    this.#root = root;
  }

  nodes(nodes: readonly Node[], scope: Scope): string {
    return nodes.map((node) => this.#node(node, scope)).join('');
  }

  #node(node: Node, scope: Scope): string {
    switch (node.kind) {
      case 'text':
        return node.text;
      case 'print': {
        const value = this.#pipe(node.pipe, scope);
        const [name] = node.pipe.variables;
        if (name === undefined) return show(value);
        scope.variables.set(name, value);
        return '';
      }
      case 'if':
      case 'with': {
        const value = this.#pipe(node.pipe, scope);
        const inner: Scope = {
          dot: node.kind === 'with' && isTrue(value) ? value : scope.dot,
          variables: new Map(scope.variables),
        };
        const [name] = node.pipe.variables;
        if (name !== undefined) inner.variables.set(name, value);
        return this.nodes(isTrue(value) ? node.body : node.otherwise, inner);
      }
      case 'range': {
        const value = this.#pipe(node.pipe, scope);
        if (!isTrue(value) || typeof value !== 'object' || value === null) return this.nodes(node.otherwise, scope);
        const entries: readonly (readonly [Value, Value])[] = Array.isArray(value)
          ? [...(value as readonly Value[]).entries()]
          : Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
        return entries
          .map(([key, item]) => {
            const variables = new Map(scope.variables);
            const [first, second] = node.pipe.variables;
            if (second !== undefined && first !== undefined) variables.set(first, key).set(second, item);
            else if (first !== undefined) variables.set(first, item);
            return this.nodes(node.body, { dot: item, variables });
          })
          .join('');
      }
    }
  }

  #pipe({ commands }: Pipe, scope: Scope): Value {
    let value: Value;
    for (const [i, [head, ...rest]] of commands.entries()) {
      const args = rest.map((operand) => this.#operand(operand, scope));
      if (i > 0) args.push(value);
      if (head?.kind === 'function') value = callFunction(head.name, args, this.#template);
      else if (head !== undefined && args.length === 0) value = this.#operand(head, scope);
      else throw templateError(this.#template, 'only functions take arguments');
    }
    return value;
  }

  #operand(operand: Operand, scope: Scope): Value {
    switch (operand.kind) {
      case 'literal':
        return operand.value;
      case 'function':
        return callFunction(operand.name, [], this.#template);
      case 'path': {
        const { from, fields } = operand;
        const start =
          typeof from !== 'string' ? this.#pipe(from, scope) : from === '.' ? scope.dot : this.#variable(from, scope);
        return fields.reduce((value, field) => this.#field(value, field), start);
      }
    }
  }

  #variable(name: string, { variables }: Scope): Value {
    if (variables.has(name)) return variables.get(name);
    throw templateError(this.#template, `there is no variable ${name}`);
  }

  #field(value: Value, field: string): Value {
    const found = at(value, field);
    if (found !== undefined) return found;
    const has = value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.keys(value) : [];
    if (has.includes(field)) return undefined;
    throw templateError(
      this.#template,
      `there is no field .${field}${value === this.#root ? '' : ' there'}`,
      has.length === 0 ? undefined : `there are ${has.map((name) => `.${name}`).join(', ')}`,
    );
  }
}
