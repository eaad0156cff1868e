/**
 * Licences that the SPDX list has (spdx.org/licenses), of those that packages name. A name that is not among them is told
 * as it was written: a document with an unknown identifier is not valid.
 */
const LISTED = new Set(
  `0BSD AFL-2.0 AFL-2.1 AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later AGPL-3.0 Apache-1.1 Apache-2.0 Artistic-1.0 Artistic-2.0
  BlueOak-1.0.0 BSD-1-Clause BSD-2-Clause BSD-3-Clause BSD-4-Clause BSL-1.0 bzip2-1.0.6 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-4.0
  CC0-1.0 CDDL-1.0 CDDL-1.1 curl EPL-1.0 EPL-2.0 EUPL-1.2 FSFAP FTL GFDL-1.3-only GFDL-1.3-or-later GPL-1.0-only
  GPL-1.0-or-later GPL-2.0 GPL-2.0-only GPL-2.0-or-later GPL-2.0+ GPL-3.0 GPL-3.0-only GPL-3.0-or-later GPL-3.0+ HPND ICU
  IJG ISC LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1 LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0 LGPL-3.0-only
  LGPL-3.0-or-later Libpng MIT MIT-0 MPL-1.1 MPL-2.0 NCSA OFL-1.1 OpenSSL OLDAP-2.8 PostgreSQL PSF-2.0 Python-2.0 Ruby
  SSPL-1.0 Unicode-3.0 Unicode-DFS-2016 Unlicense UPL-1.0 Vim W3C WTFPL X11 Zlib ZPL-2.1`.split(/\s+/),
);
const EXCEPTIONS = new Set(
  'Autoconf-exception-3.0 Bison-exception-2.2 Classpath-exception-2.0 GCC-exception-3.1 LLVM-exception Linux-syscall-note OpenSSL-exception'.split(
    ' ',
  ),
);

/** An SPDX expression (spec, annex D) of licences that are listed. */
export function isLicenseExpression(text: string): boolean {
  const tokens = text.match(/[()]|[^\s()]+/g) ?? [];
  let depth = 0;
  let wantsLicense = true;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] ?? '';
    if (wantsLicense) {
      if (token === '(') depth++;
      else if (LISTED.has(token)) wantsLicense = false;
      else return false;
    } else if (token === ')') {
      if (--depth < 0) return false;
    } else if (token === 'AND' || token === 'OR') wantsLicense = true;
    else if (token === 'WITH') {
      if (!EXCEPTIONS.has(tokens[++i] ?? '')) return false;
    } else return false;
  }
  return !wantsLicense && depth === 0;
}
