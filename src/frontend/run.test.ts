import { describe, expect, it } from 'vitest';
import type { Mount } from '../llb/index.ts';
import type { FrontendOptions } from './types.ts';
import { convert, history, names, opNamed, vertexNamed } from './testing.ts';

/** The mounts besides the root of a RUN with these flags. */
async function mounts(flags: string, options: Partial<FrontendOptions> = {}): Promise<readonly Mount[]> {
  const result = await convert(`FROM a AS s\nRUN 1\nFROM b\nWORKDIR /w\nARG v=val\nRUN ${flags} cmd`, options);
  return opNamed(result, 'exec', 'cmd').mounts.slice(1);
}

describe('RUN', () => {
  it.each<[string, string, readonly string[]]>([
    ['shell form', 'RUN echo "$x"  && y', ['/bin/sh', '-c', 'echo "$x"  && y']],
    ['exec form', 'RUN ["a", "$x"]', ['a', '$x']],
    ['the SHELL of the stage', 'SHELL ["/b", "-e"]\nRUN x', ['/b', '-e', 'x']],
    ['a script', 'RUN <<E\na\nb\nE', ['/bin/sh', '-c', 'a\nb\n']],
    ['a script without its tabs', 'RUN <<-E\n\ta\n\tE', ['/bin/sh', '-c', 'a\n']],
    ['a script with another shell', 'RUN <<E\n#!/usr/bin/env python\nx\nE', ['/bin/sh', '-c', '/dev/pipes/E']],
    [
      'heredocs for a command',
      'RUN cat <<A 3<<-"B"\n1\nA\n\t2\n\tB',
      ['/bin/sh', '-c', 'cat <<A 3<<-"B"\n1\nA\n\t2\nB'],
    ],
  ])('%s', async (_, instructions, args) => {
    const result = await convert(`FROM a\n${instructions}`);
    const runs = result.definition.vertices.flatMap(({ op }) => (op.kind === 'exec' ? op : []));
    expect(runs.at(-1)?.meta.args).toEqual(args);
    expect(history(result).at(-1)).toBe(`RUN ${args.join(' ')} # buildkit`);
  });

  it('mounts a script where it runs', async () => {
    const result = await convert('FROM a\nRUN <<E\n#!/bin/x\nE');
    const run = vertexNamed(result, 'RUN <<E (#!/bin/x)');
    expect(run.op.kind === 'exec' && run.op.mounts[1]).toEqual({
      input: 1,
      selector: '/',
      dest: '/dev/pipes/',
      output: -1,
      readonly: true,
      type: { kind: 'bind' },
    });
    expect(run.inputs[1]?.vertex.op).toMatchObject({
      actions: [{ action: { kind: 'mkfile', path: '/E', mode: 0o755 } }],
    });
  });

  it('shows the first line of a script', async () => {
    expect(names(await convert('FROM a\nRUN <<E\n\n  first  \nsecond\nE')).at(-1)).toBe('[2/2] RUN <<E (first  ...)');
  });

  it('runs as the user in the working directory', async () => {
    const result = await convert('FROM a\nUSER u:g\nWORKDIR /x\nWORKDIR y\nRUN z');
    expect(opNamed(result, 'exec', 'RUN z').meta).toMatchObject({
      user: 'u:g',
      cwd: '/x/y',
      removeMountStubsRecursive: true,
    });
  });
});

describe('RUN --mount', () => {
  const bind = { kind: 'bind' };

  it.each<[string, readonly object[], Partial<FrontendOptions>?]>([
    ['--mount=target=/c', [{ input: 1, dest: '/c', output: -1, readonly: true, type: bind }]],
    ['--mount=source=sub/../x,dst=rel,rw', [{ selector: '/x', dest: '/w/rel', output: -1, readonly: false }]],
    ['--mount=type=bind,from=s,src=/p,target=/q', [{ input: 1, selector: '/p', dest: '/q', readonly: true }]],
    ['--mount=target=/$v', [{ dest: '/val' }]],
    [
      '--mount=type=cache,target=/c/./d',
      [
        {
          input: -1,
          dest: '/c/./d',
          output: -1,
          readonly: false,
          type: { kind: 'cache', id: '//c/d', sharing: 'shared' },
        },
      ],
    ],
    [
      '--mount=type=cache,id=x,target=c,sharing=locked,ro',
      [{ dest: '/w/c', readonly: true, type: { kind: 'cache', id: '/x', sharing: 'locked' } }],
    ],
    [
      '--mount=type=cache,target=/c',
      [{ type: { kind: 'cache', id: 'ns//c', sharing: 'shared' } }],
      { buildArgs: { BUILDKIT_CACHE_MOUNT_NS: 'ns' } },
    ],
    ['--mount=type=cache,from=s,source=/seed,target=/c', [{ input: 1, selector: '/seed', type: { kind: 'cache' } }]],
    [
      '--mount=type=tmpfs,target=/t,size=1m',
      [{ input: -1, dest: '/t', output: -1, type: { kind: 'tmpfs', size: 1048576 } }],
    ],
    ['--mount=type=tmpfs,target=/t', [{ type: { kind: 'tmpfs', size: 0 } }]],
    [
      '--mount=type=secret,id=k',
      [
        {
          input: -1,
          dest: '/run/secrets/k',
          type: { kind: 'secret', id: 'k', uid: 0, gid: 0, mode: 0o400, optional: true },
        },
      ],
    ],
    [
      '--mount=type=secret,id=k,target=/k,required,mode=0440,uid=1,gid=2',
      [{ dest: '/k', type: { kind: 'secret', id: 'k', uid: 1, gid: 2, mode: 0o440, optional: false } }],
    ],
    [
      '--mount=type=ssh',
      [
        {
          dest: '/run/buildkit/ssh_agent.0',
          type: { kind: 'ssh', id: '', uid: 0, gid: 0, mode: 0o600, optional: true },
        },
      ],
    ],
    [
      '--mount=type=ssh,target=/s --mount=type=ssh,id=two,uid=5',
      [{ dest: '/s' }, { dest: '/run/buildkit/ssh_agent.1', type: { kind: 'ssh', id: 'two', uid: 5 } }],
    ],
    [
      '--mount=type=secret,id=z --mount=target=/z --mount=target=/a',
      [{ dest: '/a' }, { dest: '/z' }, { dest: '/run/secrets/z' }],
    ],
  ])('%s', async (flags, expected, options) => {
    expect(await mounts(flags, options)).toMatchObject(expected);
  });

  it('makes one input of what is mounted twice', async () => {
    const result = await convert('FROM a AS s\nRUN 1\nFROM s\nRUN --mount=from=s,target=/a --mount=from=s,target=/b x');
    const run = vertexNamed(result, 'x');
    expect(run.inputs).toHaveLength(1);
    expect(run.op.kind === 'exec' && run.op.mounts.map(({ input }) => input)).toEqual([0, 0, 0]);
  });

  it('gives a cache the owner and mode that it asks for', async () => {
    const result = await convert('FROM a\nRUN --mount=type=cache,target=/c,uid=5,mode=0700 x');
    expect(opNamed(result, 'file', '[internal] setting cache mount permissions').actions[0]?.action).toEqual({
      kind: 'mkdir',
      path: '/cache',
      mode: 0o700,
      makeParents: false,
      owner: { user: { kind: 'id', id: 5 }, group: { kind: 'id', id: 0 } },
      timestamp: -1n,
    });
    expect(opNamed(result, 'exec', 'x').mounts[1]).toMatchObject({ input: 1, selector: '/cache' });
  });

  it('sets variables from secrets, shown as stars and never in the environment', async () => {
    const result = await convert('FROM a\nENV T=public\nRUN --mount=type=secret,id=k,env=T curl -H $T $U');
    const op = opNamed(result, 'exec', 'curl -H **** $U');
    expect(op.secretEnv).toEqual([{ id: 'k', name: 'T', optional: true }]);
    expect(op.mounts).toHaveLength(1);
  });

  it('tells where the agent is', async () => {
    const env = async (before: string): Promise<readonly string[]> =>
      opNamed(await convert(`FROM a\n${before}\nRUN --mount=type=ssh,target=/s x`), 'exec', ' x').meta.env;
    expect(await env('ENV A=1')).toContain('SSH_AUTH_SOCK=/s');
    expect(await env('ENV SSH_AUTH_SOCK=/mine')).toContain('SSH_AUTH_SOCK=/mine');
  });

  it('makes the stages it names needed, and only those', async () => {
    const result = await convert('FROM a AS s\nRUN 1\nFROM b AS t\nRUN 2\nFROM c\nRUN --mount=from=s,target=/s x');
    expect(result.stages.map(({ name }) => name)).toEqual(['s', 'stage-2']);
  });
});
