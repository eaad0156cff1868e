/** `--call=outline` and `--call=targets`, as docker prints them (BuildKit: frontend/subrequests). */
import { listTargets, outline, type DockerfileOptions, type MountInfo, type SourceRange } from '../index.ts';
import { jsonLocation, printJson } from './check/json.ts';
import { withoutControls } from './check/text.ts';
import { table } from './table.ts';

export async function outlineOutput(options: DockerfileOptions, format: 'text' | 'json'): Promise<string> {
  const { name, description, args, secrets, ssh, caches, file } = await outline(options);
  if (format === 'json') {
    return printJson({
      name,
      description,
      args: list(
        args.map((arg) => ({
          name: arg.name,
          description: arg.description,
          value: arg.value || undefined,
          ...at(arg.range),
        })),
      ),
      secrets: list(secrets.map(jsonMount)),
      ssh: list(ssh.map(jsonMount)),
      cache: list(caches.map(({ id, range }) => ({ ID: id, ...at(range) }))),
      sources: [base64(file.text)],
    });
  }
  const parts: string[] = [];
  if (name !== undefined) {
    parts.push(`TARGET:      ${name}\n${description === undefined ? '' : `DESCRIPTION: ${description}\n`}`);
  }
  if (args.length > 0) {
    parts.push(
      table(
        ['BUILD ARG', 'VALUE', 'DESCRIPTION'],
        args.map((arg) => [arg.name, arg.value ?? '', arg.description ?? '']),
      ),
    );
  }
  if (secrets.length > 0) parts.push(mountTable('SECRET', secrets));
  if (ssh.length > 0) parts.push(mountTable('SSH', ssh));
  if (caches.length > 0)
    parts.push(
      table(
        ['CACHE'],
        caches.map(({ id }) => [id]),
      ),
    );
  return withoutControls(parts.map((part) => `${part}\n`).join(''));
}

export async function targetsOutput(options: DockerfileOptions, format: 'text' | 'json'): Promise<string> {
  const { targets, file } = await listTargets(options);
  if (format === 'json') {
    return printJson({
      targets: targets.map(({ name, isDefault, description, base, platform, range }) => ({
        name,
        default: isDefault || undefined,
        description,
        base,
        platform,
        ...at(range),
      })),
      sources: [base64(file.text)],
    });
  }
  const rows = targets.flatMap(({ name, isDefault, description }) =>
    // A stage without a name cannot be asked for, unless it is what is built anyway.
    name === undefined && !isDefault
      ? []
      : [[`${name ?? ''}${isDefault ? ' (default)' : ''}`.trim(), description ?? '']],
  );
  return withoutControls(table(['TARGET', 'DESCRIPTION'], rows));
}

function mountTable(title: string, mounts: readonly MountInfo[]): string {
  return table(
    [title, 'REQUIRED'],
    mounts.map(({ id, required }) => [id, required ? 'true' : '']),
  );
}

function jsonMount({ id, required, range }: MountInfo): object {
  return { name: id, required: required || undefined, ...at(range) };
}

function list(items: readonly object[]): readonly object[] | undefined {
  return items.length === 0 ? undefined : items;
}

function at(range: SourceRange): object {
  return { location: jsonLocation({ ranges: [range] }) };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
