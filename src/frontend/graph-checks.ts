/**
 * Mistakes in the graph of stages, found before any network is asked. BuildKit takes an unknown `--from=name` for an
 * image and fails at pulling it; where the name was clearly meant for a stage, we say so.
 */
import { BuildError } from '../contracts/index.ts';
import type { SourceLocation } from '../contracts/index.ts';
import { nearest } from '../dockerfile/index.ts';
import { findContext } from './named-context.ts';
import type { ExternalNode, GraphNode, StageGraph, StageNode, Step } from './stage-graph.ts';
import type { FrontendOptions } from './types.ts';

/** Official images that are copied from without a tag, so that a name that means one is never taken for a typo. */
const WELL_KNOWN_IMAGES = new Set(
  (
    'adminer almalinux alpine amazonlinux archlinux bash buildpack-deps busybox caddy cassandra centos clojure composer consul ' +
    'couchdb dart debian docker drupal eclipse-temurin elasticsearch elixir erlang fedora gcc ghost golang gradle groovy ' +
    'haproxy haskell hello-world httpd hylang influxdb ironpython jenkins jetty joomla jruby julia kibana kong logstash ' +
    'mariadb maven memcached mongo mysql nats neo4j nextcloud nginx node odoo openjdk opensuse oraclelinux perl php ' +
    'phpmyadmin photon postgres pypy python r-base rabbitmq redis redmine registry rethinkdb rockylinux ruby rust ' +
    'sapmachine scratch solr sonarqube spiped swift swipl telegraf tomcat tomee traefik ubuntu varnish vault wordpress zookeeper'
  ).split(' '),
);

/**
 * The stage that `--target` means: a name in any case, or a number.
 *
 * @throws BuildError `stage` with the nearest name.
 */
export function findTarget(graph: StageGraph, target: string | undefined): StageNode {
  const last = graph.stages.at(-1);
  if (last === undefined) throw new BuildError({ code: 'dockerfile', message: 'the Dockerfile has no stage' });
  if (target === undefined || target === '') return last;
  const found =
    graph.byName.get(target.toLowerCase()) ??
    graph.stages.find(({ stage, name }) => stage.name === undefined && name === target.toLowerCase()) ??
    (/^\d+$/.test(target) ? graph.stages[Number(target)] : undefined);
  if (found !== undefined) return found;
  const names = [...graph.byName.keys()];
  const near = nearest(target, names);
  const known = names.length === 0 ? 'no stage has a name' : `the stages are ${names.join(', ')}`;
  throw new BuildError({
    code: 'stage',
    message: `target stage ${JSON.stringify(target)} is not in ${graph.stages[0]?.location.file.filename ?? 'the file'}`,
    hint: near === undefined ? `${known}; numbers from 0 to ${last.index} do too` : `did you mean ${near}?`,
  });
}

/**
 * No stage may need itself, over whatever others.
 *
 * @throws BuildError `stage`
 */
export function checkCycles(graph: StageGraph, steps: ReadonlyMap<StageNode, readonly Step[]>): void {
  const done = new Set<StageNode>();
  const path: StageNode[] = [];
  const visit = (node: StageNode): void => {
    if (done.has(node)) return;
    path.push(node);
    for (const { sources, location } of steps.get(node) ?? []) {
      for (const source of sources) {
        if (source.kind !== 'stage') continue;
        if (path.includes(source)) throw cycle(path.slice(path.indexOf(source)), location);
        visit(source);
      }
    }
    if (node.base !== undefined) visit(node.base);
    path.pop();
    done.add(node);
  };
  for (const node of graph.stages) visit(node);
}

function cycle(stages: readonly StageNode[], location: SourceLocation): BuildError {
  const [only, ...others] = stages;
  if (others.length === 0) {
    return new BuildError({
      code: 'stage',
      message: `stage ${only?.name ?? ''} copies from itself`,
      hint: 'name an earlier stage; files of this stage are there already',
      location,
    });
  }
  const names = stages.map(({ name }) => name);
  return new BuildError({
    code: 'stage',
    message: `circular dependency of stages: ${[...names, names[0] ?? ''].join(' needs ')}`,
    hint: 'a stage can only use stages above it',
    location,
  });
}

/**
 * What the steps of a needed stage name must be there.
 *
 * @throws BuildError `stage`
 */
export function checkSteps(
  node: StageNode,
  own: readonly Step[],
  graph: StageGraph,
  steps: ReadonlyMap<StageNode, readonly Step[]>,
  options: FrontendOptions,
): void {
  for (const { sources, instruction } of own) {
    for (const source of sources) {
      if (source.kind === 'external') checkExternal(node, source, graph, steps, options);
      else if (source.index >= node.index) throw later(instruction.name, node, source);
    }
  }

  function later(keyword: string, from: StageNode, source: StageNode): BuildError {
    const step = own.find((candidate) => candidate.sources.includes(source));
    const verb = keyword === 'RUN' ? 'mount' : 'copy';
    return new BuildError({
      code: 'stage',
      message: `cannot ${verb} from stage ${source.name} (line ${line(source)}): it comes after stage ${from.name}`,
      hint: `move stage ${source.name} above line ${line(from)}`,
      location: step?.location,
    });
  }
}

function checkExternal(
  node: StageNode,
  external: ExternalNode,
  graph: StageGraph,
  steps: ReadonlyMap<StageNode, readonly Step[]>,
  options: FrontendOptions,
): void {
  const { name, location } = external;
  if (!couldMeanStage(name, options)) return;
  const numbered = /^\d+$/.test(name) ? graph.stages[Number(name)] : undefined;
  if (numbered !== undefined) {
    throw new BuildError({
      code: 'stage',
      message: `a mount takes the name of a stage, not its number ${name}`,
      hint:
        numbered.stage.name === undefined
          ? `add \`AS name\` to line ${line(numbered)}, and write from=name`
          : `write from=${numbered.stage.name}`,
      location,
    });
  }
  const image = `to copy from the image, write --from=docker.io/library/${name.toLowerCase()}`;
  // Of one or two letters, every other such name is near.
  const named = graph.stages.flatMap(({ stage, index }) =>
    stage.name !== undefined && stage.name.length > 2 && index < node.index ? stage.name : [],
  );
  const near = name.length > 2 ? nearest(name, named) : undefined;
  if (near !== undefined) {
    throw new BuildError({
      code: 'stage',
      message: `--from=${name} names no stage`,
      hint: `did you mean stage \`${near}\`? ${image}`,
      location,
    });
  }
  const unnamed = graph.stages.findLast(
    (candidate) => candidate.stage.name === undefined && candidate.index < node.index && !isUsed(candidate, steps),
  );
  if (unnamed === undefined) return;
  const { index, baseName } = unnamed;
  throw new BuildError({
    code: 'stage',
    message: `--from=${name} names no stage; stage ${index} (${baseName}, line ${line(unnamed)}) has no name`,
    hint: `add \`AS ${name.toLowerCase()}\` to line ${line(unnamed)}, or use \`--from=${index}\``,
    location,
  });
}

/** Whether `--from=name`, which is no stage of the file, was likely meant for one. */
export function couldMeanStage(name: string, options: FrontendOptions): boolean {
  // With `/`, `:`, `@` or `.` it is an image reference and nothing else.
  if (!/^[A-Za-z0-9_-]+$/.test(name) || WELL_KNOWN_IMAGES.has(name.toLowerCase())) return false;
  return !isContext(name, options);
}

function isContext(name: string, options: FrontendOptions): boolean {
  try {
    return findContext(name, options.targetPlatform, options) !== undefined;
  } catch {
    return false;
  }
}

function isUsed(node: GraphNode, steps: ReadonlyMap<StageNode, readonly Step[]>): boolean {
  for (const [user, own] of steps) {
    if (user !== node && own.some(({ sources }) => sources.includes(node))) return true;
  }
  return false;
}

function line(node: StageNode): number {
  return node.stage.from.range.start.line;
}
