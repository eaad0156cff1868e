import { describe, expect, it } from 'vitest';
import type { FileTree, NodeEntry } from '../contracts/index.ts';
import { convert } from '../frontend/testing.ts';
import { definition, vertex } from '../llb/index.ts';
import type { Definition } from '../llb/index.ts';
import { partOfStage } from './partial.ts';
import { independentStages, placeGroups, stepsBefore } from './stages.ts';

const PLATFORM = { os: 'linux', architecture: 'amd64' };

const graphOf = async (text: string): Promise<Definition> => (await convert(text)).definition;

const shown = (graph: Definition): readonly string[] =>
  independentStages(graph).map(({ stages, steps }) =>
    [steps, ...stages.map(({ paths }) => [...paths].sort().join(' '))].join(': '),
  );

describe('stages that another node can make', () => {
  it.each<[string, string, readonly string[]]>([
    [
      'two that share nothing but their base',
      'FROM x AS a\nRUN a\nFROM x AS b\nRUN b\nRUN c\nFROM x\nCOPY --from=a /a /b* /d/\nCOPY --from=b /c /c\n',
      ['2: /c', '1: /a /b*'],
    ],
    [
      'two that share a step are one',
      'FROM x AS deps\nRUN d\nFROM deps AS a\nRUN a\nFROM deps AS b\nRUN b\nFROM x\nCOPY --from=a /a /\nCOPY --from=b /b /\n',
      ['3: /a: /b'],
    ],
    [
      'not those that share a step with the rest',
      'FROM x AS deps\nRUN d\nFROM deps AS a\nRUN a\nFROM deps\nCOPY --from=a /a /\n',
      [],
    ],
    ['not one that the result stands on', 'FROM x AS a\nRUN a\nFROM a\nRUN b\n', []],
    ['not one that is taken whole', 'FROM x AS a\nRUN a\nFROM x\nCOPY --from=a / /\n', []],
    ['not one without steps', 'FROM x AS a\nCOPY f /f\nFROM x\nCOPY --from=a /f /\n', []],
    [
      'one that is mounted in part, and one inside another',
      'FROM x AS a\nRUN a\nFROM x AS b\nRUN --mount=from=a,source=/t,target=/t b\nFROM x\nRUN --mount=from=b,source=/o,target=/o c\n',
      ['2: /o'],
    ],
    ['not one that is mounted whole', 'FROM x AS a\nRUN a\nFROM x\nRUN --mount=from=a,target=/t b\n', []],
    [
      'not one that stands on what the rest takes from too',
      'FROM x AS a\nRUN a\nFROM a AS b\nCOPY --chown=me f /f\nFROM x\nCOPY --from=a /f /\nCOPY --from=b /f /\n',
      [],
    ],
  ])('%s', async (_name, text, expected) => {
    expect(shown(await graphOf(text))).toEqual(expected);
  });

  it('are dealt out; the rest is begun meanwhile', async () => {
    const two = 'FROM x AS a\nRUN a\nFROM x AS b\nRUN b\nRUN c\n';
    const light = await graphOf(`${two}FROM x\nCOPY --from=a /a /\nCOPY --from=b /b /\n`);
    const groups = independentStages(light);
    expect(placeGroups(light, groups, ['home', 'other'])).toEqual(['home', 'other']);
    const away = new Set(groups.slice(1).flatMap(({ stages }) => stages.map((stage) => stage.vertex.digest)));
    // The other stage, made at home.
    expect(stepsBefore(light, away).map((edge) => edge.vertex)).toEqual([groups[0]?.stages[0]?.vertex]);

    const heavy = await graphOf(`${two}FROM x\nRUN own\nCOPY --from=a /a /\nCOPY --from=b /b /\n`);
    expect(placeGroups(heavy, independentStages(heavy), ['home', 'other'])).toEqual(['other', 'home']);
  });
});

describe('the part of a stage that travels', () => {
  const meta = { mode: 0o644, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0 };
  const tree = (entries: Readonly<Record<string, string | undefined>>): FileTree => {
    const isDirectory = (path: string): boolean => Object.keys(entries).some((other) => other.startsWith(`${path}/`));
    const lookup = async (path: string): Promise<NodeEntry | undefined> => {
      const target = entries[path];
      if (target !== undefined) return await Promise.resolve({ ...meta, type: 'symlink', target });
      if (path in entries) return { ...meta, type: 'file', size: 1 };
      return isDirectory(path) ? { ...meta, type: 'directory' } : undefined;
    };
    const list = async (path: string): Promise<readonly string[]> => {
      const prefix = path === '' ? '' : `${path}/`;
      const below = Object.keys(entries).filter((other) => other.startsWith(prefix));
      return await Promise.resolve([...new Set(below.map((other) => other.slice(prefix.length).split('/')[0] ?? ''))]);
    };
    return { lookup, list } as unknown as FileTree;
  };
  const stage = vertex({ kind: 'source', identifier: 'docker-image://x', attrs: {} }, []);

  it.each<[string, readonly string[], Readonly<Record<string, string | undefined>>, readonly string[]]>([
    ['a file and a directory', ['/a', '/d/'], { a: undefined, 'd/x': undefined, b: undefined }, ['a', 'd']],
    ['what wildcards match', ['/d/*.so'], { 'd/x.so': undefined, 'd/y.a': undefined }, ['d/x.so']],
    [
      'links, on the way and last',
      ['/l/f'],
      { l: 'real/dir', 'real/dir/f': '/other/./f', 'other/f': undefined },
      ['l', 'other/f', 'real/dir/f'],
    ],
    ['a circle of links', ['/a/x'], { a: 'b', b: 'a' }, ['a', 'b']],
    ['names that look like patterns', ['/d/*'], { 'd/a[1]*': undefined, 'd/!x': undefined }, ['d/!x', 'd/a\\[1]\\*']],
    ['a link above the root', ['/l'], { l: '../../../a', a: undefined }, ['a', 'l']],
    ['nothing', ['/none'], { a: undefined }, ['.slipway-nothing']],
  ])('%s', async (_name, paths, entries, expected) => {
    const part = await partOfStage(stage, paths, tree(entries), PLATFORM);
    const op = part.result?.vertex.op;
    const [only] = op?.kind === 'file' ? op.actions : [];
    expect(only?.action).toMatchObject({ kind: 'copy', includePatterns: expected });
    expect(part).toEqual(definition(part.result));
  });
});
