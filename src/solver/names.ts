import type { FileActionKind, Vertex } from '../llb/index.ts';

/** What progress calls a vertex: the front end's name for it, else the op in words, as BuildKit's vertexes do. */
export function vertexName(vertex: Vertex): string {
  return vertex.metadata.name ?? opName(vertex);
}

function opName({ op }: Vertex): string {
  switch (op.kind) {
    case 'source':
      return op.identifier;
    case 'exec':
      return op.meta.args.join(' ');
    case 'file':
      return op.actions.map(({ action }) => actionName(action)).join(', ');
    case 'merge':
      return 'merge';
    case 'diff':
      return 'diff';
    case 'build':
      return 'build';
  }
}

function actionName(action: FileActionKind): string {
  switch (action.kind) {
    case 'copy':
      return `copy ${action.src} ${action.dest}`;
    case 'symlink':
      return `symlink ${action.oldPath} ${action.newPath}`;
    case 'mkfile':
    case 'mkdir':
    case 'rm':
      return `${action.kind} ${action.path}`;
  }
}
