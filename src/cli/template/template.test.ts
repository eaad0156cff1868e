import { expect, test } from 'vitest';
import { formatRows, formatValue } from './index.ts';

const DATA = {
  Id: 'sha256:abc',
  Size: 12,
  RepoTags: ['a:1', 'b:2'],
  Empty: [],
  Nothing: null,
  Config: { Env: ['PATH=/bin', 'A=b'], Labels: { 'org.x': 'y', a: 'b' }, Cmd: null },
};

// What docker 28 prints for the same templates.
test.each([
  ['{{.Id}}', 'sha256:abc'],
  ['{{ .Id }}-{{.Size}}', 'sha256:abc-12'],
  ['{{.RepoTags}}', '[a:1 b:2]'],
  ['{{json .RepoTags}}', '["a:1","b:2"]'],
  ['{{json .}}', JSON.stringify(DATA)],
  ['json', JSON.stringify(DATA)],
  ['{{json "<a>"}}', '"\\u003ca\\u003e"'],
  ['{{.Config.Labels}}', 'map[a:b org.x:y]'],
  ['{{index .Config.Labels "org.x"}}', 'y'],
  ['{{index .RepoTags 1}}', 'b:2'],
  ['{{.Nothing}}', '<no value>'],
  ['{{range .Config.Env}}{{println .}}{{end}}', 'PATH=/bin\nA=b\n'],
  ['{{range $i, $tag := .RepoTags}}{{$i}}={{$tag}} {{end}}', '0=a:1 1=b:2 '],
  ['{{range $key, $value := .Config.Labels}}{{$key}}={{$value}};{{end}}', 'a=b;org.x=y;'],
  ['{{range .Empty}}x{{else}}none{{end}}', 'none'],
  ['{{if .Empty}}yes{{else if eq .Size 12}}twelve{{else}}no{{end}}', 'twelve'],
  ['{{if and .Size (gt .Size 5) (not .Nothing)}}ok{{end}}', 'ok'],
  ['{{with .Config}}{{index .Env 0}} {{$.Id}}{{end}}', 'PATH=/bin sha256:abc'],
  ['{{join .RepoTags ","}}', 'a:1,b:2'],
  ['{{.Id | upper | printf "%q"}}', '"SHA256:ABC"'],
  ['{{printf "%-5s|%5d|%v" "ab" .Size .RepoTags}}', 'ab   |   12|[a:1 b:2]'],
  ['{{len .RepoTags}} {{slice .Id 7}} {{truncate .Id 3}}', '2 abc sha'],
  ['{{(index .RepoTags 0)}}', 'a:1'],
  ['{{$x := .Size}}{{$x}}', '12'],
  ['a {{- /* b */ -}} c', 'ac'],
  ['{{title "some words"}} {{lower "ABC"}} {{split "a,b" ","}}', 'Some Words abc [a b]'],
  ['{{`{{raw}}`}} {{"a \\"b\\" }}"}}', '{{raw}} a "b" }}'],
])('%s', (format, expected) => {
  expect(formatValue(format, DATA)).toBe(`${expected}\n`);
});

test.each([
  ['{{.Name}}', 'no field .Name'],
  ['{{.Config.Nope}}', 'no field .Nope there'],
  ['{{.Id', 'no end'],
  ['{{if .Id}}x', 'no {{end}}'],
  ['{{end}}', 'closes nothing'],
  ['{{nope .Id}}', 'no function nope'],
  ['{{$x}}', 'no variable $x'],
  ['{{.Id )}}', 'not expected'],
  ['{{}}', 'command is missing'],
])('%s is refused', (format, message) => {
  expect(() => formatValue(format, DATA)).toThrow(message);
});

test('rows, tables and JSON', () => {
  const formatted = {
    heads: { ID: 'IMAGE ID', Tag: 'TAG' },
    rows: [
      { ID: 'a', Tag: 'latest' },
      { ID: 'bcd', Tag: '1' },
    ],
  };
  expect(formatRows('{{.ID}}:{{.Tag}}', formatted)).toBe('a:latest\nbcd:1\n');
  expect(formatRows('table {{.Tag}}\\t{{.ID}}', formatted)).toBe('TAG      IMAGE ID\nlatest   a\n1        bcd\n');
  expect(formatRows('json', formatted)).toBe('{"ID":"a","Tag":"latest"}\n{"ID":"bcd","Tag":"1"}\n');
  expect(() => formatRows('table', formatted)).toThrow('needs columns');
});
