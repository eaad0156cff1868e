import { VERSION } from '../../index.ts';
import type {
  BuildError,
  CheckFinding,
  CheckResult,
  RuleInfo,
  Severity,
  SourceLocation,
  SourceRange,
} from '../../index.ts';

const LEVELS: Readonly<Record<Severity, 'error' | 'warning' | 'note'>> = {
  error: 'error',
  warning: 'warning',
  info: 'note',
};
/** The rule of what makes a build impossible, which no rule of ours is. */
const BUILD_ERROR = 'BuildError';

/** SARIF 2.1.0 (OASIS), as code scanning services read it. Columns count UTF-16 units from 1. */
export function sarifLog({ findings, errors, file }: CheckResult, rules: readonly RuleInfo[]): object {
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'slipway', semanticVersion: VERSION, rules: [...rules.map(sarifRule), errorRule()] } },
        columnKind: 'utf16CodeUnits',
        results: [
          ...findings.map((finding) => sarifFinding(finding, rules)),
          ...errors.map((error) => sarifError(error, file.filename, rules.length)),
        ],
      },
    ],
  };
}

function sarifRule({ name, description, severity, doc, default: isOn }: RuleInfo): object {
  return {
    id: name,
    shortDescription: { text: description },
    help: { text: doc.why, markdown: doc.why },
    defaultConfiguration: { level: LEVELS[severity], enabled: isOn === 'on' },
  };
}

function errorRule(): object {
  return {
    id: BUILD_ERROR,
    shortDescription: { text: 'The Dockerfile can be built' },
    defaultConfiguration: { level: 'error' },
  };
}

function sarifFinding({ rule, message, hint, location, edits }: CheckFinding, rules: readonly RuleInfo[]): object {
  const { filename } = location.file;
  return {
    ruleId: rule.name,
    ruleIndex: rules.findIndex(({ name }) => name === rule.name),
    level: LEVELS[rule.severity],
    message: { text: hint === undefined ? message : `${message}\n${hint}` },
    locations: [sarifLocation(location)],
    ...(edits.length > 0 && {
      fixes: [
        {
          description: { text: hint ?? message },
          artifactChanges: [
            {
              artifactLocation: { uri: uriOf(filename) },
              replacements: edits.map(({ range, text }) => ({
                deletedRegion: region(range),
                insertedContent: { text },
              })),
            },
          ],
        },
      ],
    }),
  };
}

function sarifError({ message, hint, location }: BuildError, filename: string, ruleIndex: number): object {
  return {
    ruleId: BUILD_ERROR,
    ruleIndex,
    level: 'error',
    message: { text: hint === undefined ? message : `${message}\n${hint}` },
    locations: [
      location === undefined
        ? { physicalLocation: { artifactLocation: { uri: uriOf(filename) } } }
        : sarifLocation(location),
    ],
  };
}

function sarifLocation({ file, ranges }: SourceLocation): object {
  const [range] = ranges;
  return {
    physicalLocation: {
      artifactLocation: { uri: uriOf(file.filename) },
      ...(range !== undefined && { region: region(range) }),
    },
  };
}

function region({ start, end }: SourceRange): object {
  return { startLine: start.line, startColumn: start.column + 1, endLine: end.line, endColumn: end.column + 1 };
}

/** A relative reference, or a file URL for an absolute path. */
function uriOf(path: string): string {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return path.startsWith('/') ? `file://${encoded}` : encoded;
}
