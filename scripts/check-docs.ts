/** Writes docs/checks.md from the table of rules; `--check` only says whether it is up to date. */
import { readFileSync, writeFileSync } from 'node:fs';
import { listRules, type RuleInfo } from '../src/index.ts';

const FILE = new URL('../docs/checks.md', import.meta.url);
const rules = await listRules();

const text = `# Checks

Made from the table of rules by \`node scripts/check-docs.ts\`.

    slipway check .                         # all rules; never uses the network
    slipway check --fix .                   # makes the repairs that are safe, then checks what is left
    slipway check --diff . | patch -p1      # shows them only
    slipway check --format sarif . > checks.sarif
    slipway check --format github .         # annotations of a GitHub workflow
    slipway build --check .                 # the same rules, as \`docker build --check\` has it
    slipway build --call=check,format=json .

A build runs BuildKit's rules itself and lists what they find at its end; it goes on all the same, unless the file says \`error=true\`.

## What is checked

Without \`--target\`, every stage of the file, and the last one is taken for the image; with it, the stages that the target needs. Rules about the image look at the target and at the stages that it stands on (\`FROM stage\`): what another stage leaves behind does not ship.

Images are not asked for. A variable that only a base image could set is therefore not reported, unless it cannot come from there; in a build it is. Also shown is what makes the build impossible, the first such error of every target.

## Severity and exit code

| severity | meaning | exit code of \`slipway check\` |
| --- | --- | --- |
| error | cannot be built, or gives away a secret | 1 |
| warning | works, not as it should | 1 |
| info | worth knowing | 0 |

\`--fail-on error\`, \`info\` or \`never\` moves the line. Wrong flags exit with 2, as everywhere.

## Turning rules off and on

\`\`\`dockerfile
# check=skip=JSONArgsRecommended,StageNameCasing
FROM alpine
# check=skip=SecretsUsedInArgOrEnv // the name of a key, not the key
ENV SIGNING_KEY=release
\`\`\`

At the top of the file it counts for the file, directly above an instruction for that instruction. \`skip=all\` turns off all; \`experimental=Rule,...\` or \`experimental=all\` turns on what is off by default; \`error=true\` makes a build fail when anything is found. Parts are joined by \`;\`. The build argument \`BUILDKIT_DOCKERFILE_CHECK\` takes the place of the line at the top. \`slipway check --skip\` and \`--enable\` add to them.

## Repairs

\`--fix\` changes what cannot be meant otherwise and leaves the result of the build as it is; comments and layout stay. It gives the unnamed stage that a \`COPY --from=name\` can only mean its name; writes AS and instructions in one case, \`ENV key value\` as \`ENV key=value\`, and a CMD or ENTRYPOINT of plain words (or an array in single quotes) as JSON. The JSON form starts the same program without a shell; the image config says so. Stage names that are there are never changed.

## Output

\`--format json\` is the object that \`docker build --call=check,format=json\` prints, with \`severity\`, \`hint\` and \`fixable\` besides; lines count from 1, characters from 0. \`--format sarif\` is SARIF 2.1.0 with the repairs as \`fixes\`. \`slipway check --rules\` lists the rules. In the library: \`check()\` and \`listRules()\`.

## Rules

${table(rules)}

${rules.map(section).join('\n\n')}
`;

function table(all: readonly RuleInfo[]): string {
  const rows = all.map(
    (rule) =>
      `| [${rule.name}](#${rule.name.toLowerCase()}) | ${rule.severity} | ${rule.default} | ${rule.origin === 'buildkit' ? 'BuildKit' : 'Slipway'} | ${rule.fixes === true ? 'yes' : ''} | ${rule.description} |`,
  );
  return [
    '| rule | severity | default | from | \`--fix\` | asks that |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function section({ name, description, doc }: RuleInfo): string {
  const { bad, good, why, ignore, contextNames, basePlatform } = doc;
  const given = [
    ...(ignore === undefined ? [] : [`\`.dockerignore\` with ${ignore.map((line) => `\`${line}\``).join(', ')}`]),
    ...(contextNames === undefined
      ? []
      : [`${contextNames.map((entry) => `\`${entry}\``).join(' and ')} in the build context`]),
    ...(basePlatform === undefined ? [] : [`a base image that is there for ${basePlatform} only`]),
  ];
  const note = given.length === 0 ? '' : ` (with ${given.join(' and ')})`;
  return `### ${name}

${description}. ${why}

Reported${note}:

\`\`\`dockerfile
${bad}
\`\`\`

Better:

\`\`\`dockerfile
${good}
\`\`\``;
}

if (process.argv.includes('--check')) {
  if (readFileSync(FILE, 'utf8') !== text) throw new Error('docs/checks.md is old: run node scripts/check-docs.ts');
} else {
  writeFileSync(FILE, text);
}
