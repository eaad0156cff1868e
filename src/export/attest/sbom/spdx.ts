/** An inventory as SPDX 2.3 (spdx.github.io/spdx-spec/v2.3), the predicate that BuildKit's scanners write. */
import { createHash } from 'node:crypto';
import { formatTime } from '../../time.ts';
import { packageUrl } from '../package-url.ts';
import { PREDICATE_TYPES, type Predicate } from '../statement.ts';
import { isLicenseExpression } from './license.ts';
import type { Distribution, FoundPackage, Inventory, PackageOrigin } from './types.ts';

const NOTHING_SAID = 'NOASSERTION';
const DOCUMENT = 'SPDXRef-DOCUMENT';
const IMAGE = 'SPDXRef-Image';

export interface SpdxOptions {
  /** Of the image, for people. */
  readonly name: string;
  /** As `slipway-0.1.0`. */
  readonly tool: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Diff IDs of the layers, bottom to top. */
  readonly layers: readonly string[];
}

export function spdx({ packages, distribution, notes }: Inventory, options: SpdxOptions): Predicate {
  const { name, tool, created, layers } = options;
  const listed = packages.map((one) => spdxPackage(one, one.origin, distribution, layers));
  const content = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    name,
    // Another document has another name: it follows from what is said.
    documentNamespace: `https://spdx.org/spdxdocs/${tool}-${sha256([name, created, layers, listed])}`,
    creationInfo: {
      created: `${formatTime(created).slice(0, 19)}Z`,
      creators: [`Tool: ${tool}`],
      ...(notes.length === 0 ? {} : { comment: notes.join('\n') }),
    },
    documentDescribes: [IMAGE],
    packages: [
      {
        SPDXID: IMAGE,
        name,
        downloadLocation: NOTHING_SAID,
        filesAnalyzed: false,
        licenseConcluded: NOTHING_SAID,
        licenseDeclared: NOTHING_SAID,
        copyrightText: NOTHING_SAID,
        primaryPackagePurpose: 'CONTAINER',
      },
      ...listed,
    ],
    relationships: [
      { spdxElementId: DOCUMENT, relationshipType: 'DESCRIBES', relatedSpdxElement: IMAGE },
      ...listed.map(({ SPDXID }) => ({
        spdxElementId: IMAGE,
        relationshipType: 'CONTAINS',
        relatedSpdxElement: SPDXID,
      })),
    ],
  };
  return { type: PREDICATE_TYPES.sbom, content };
}

function spdxPackage(
  found: FoundPackage,
  origin: PackageOrigin | undefined,
  distribution: Distribution | undefined,
  layers: readonly string[],
) {
  const { type, name, version, license, supplier, homepage, source, path } = found;
  const isValid = license !== undefined && isLicenseExpression(license);
  const url = locator(found, distribution);
  return {
    // Two may have all in common but the place.
    SPDXID: `SPDXRef-Package-${type}-${name.replace(/[^A-Za-z0-9.-]+/g, '-')}-${sha256([url, path]).slice(0, 16)}`,
    name,
    ...(version === '' ? {} : { versionInfo: version }),
    ...(supplier ? { supplier: supplierOf(supplier) } : {}),
    downloadLocation: NOTHING_SAID,
    filesAnalyzed: false,
    ...(homepage && /^https?:\/\/[^\s]+$/.test(homepage) ? { homepage } : {}),
    sourceInfo: `${SOURCES[type]}: /${path}${source ? `; built from ${source}` : ''}`,
    licenseConcluded: NOTHING_SAID,
    licenseDeclared: isValid ? license : NOTHING_SAID,
    ...(license && !isValid ? { licenseComments: `declared as: ${license}` } : {}),
    copyrightText: NOTHING_SAID,
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: url }],
    ...(origin === undefined ? {} : { comment: originText(origin, layers) }),
  };
}

const SOURCES: Readonly<Record<FoundPackage['type'], string>> = {
  deb: 'found in the database of dpkg',
  apk: 'found in the database of apk',
  rpm: 'found in the database of rpm',
  npm: 'found in an installed npm package',
  pypi: 'found in an installed Python package',
  golang: 'found in the build information of a Go program',
};

/** `Dockerfile:3 [build 2/3] RUN apk add curl; layer 2 of 4, sha256:...`. */
function originText({ layer, step }: PackageOrigin, layers: readonly string[]): string {
  const place = [step?.line, step?.name].filter((part) => part !== undefined).join(' ');
  // Of a result that is no image nobody knows the layers.
  const number = layers.length === 0 ? '' : `layer ${layer + 1} of ${layers.length}, ${layers[layer] ?? ''}`;
  const text = [place, step?.stage === undefined ? '' : `stage ${step.stage}`, number];
  return text.filter((part) => part !== '').join('; ');
}

/** `Name <address>` is a person or a group; which of them nobody says. */
function supplierOf(text: string): string {
  const [, name = text, mail] = /^\s*(.*?)\s*<([^>]*)>/.exec(text.replace(/\s+/g, ' ')) ?? [];
  return `Organization: ${name.trim()}${mail ? ` (${mail})` : ''}`;
}

function locator(found: FoundPackage, distribution: Distribution | undefined): string {
  const { type, name, version, architecture } = found;
  switch (type) {
    case 'deb':
    case 'rpm':
    case 'apk': {
      const distro = distribution === undefined ? undefined : [distribution.id, distribution.version].join('-');
      const namespace = distribution?.id ?? { deb: 'debian', rpm: 'fedora', apk: 'alpine' }[type];
      const qualifiers = { arch: architecture, distro: distro?.replace(/-$/, ''), epoch: found.epoch };
      return packageUrl({ type, namespace, name, version, qualifiers });
    }
    case 'npm':
    case 'golang': {
      const slash = name.lastIndexOf('/');
      const namespace = slash === -1 ? undefined : name.slice(0, slash);
      return packageUrl({ type, namespace, name: name.slice(slash + 1), version });
    }
    case 'pypi':
      return packageUrl({ type, name: name.toLowerCase().replaceAll('_', '-'), version });
  }
}

function sha256(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
