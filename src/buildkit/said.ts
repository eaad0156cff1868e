/** What daemons say of mistakes that the embedded engine knows, too: in the same words as there. */
import type { BuildErrorInit } from '../contracts/index.ts';

type Said = Pick<BuildErrorInit, 'code' | 'message' | 'hint'>;

const GIT_HINT = 'as in https://host/repository.git#branch:directory';

/** By what a daemon says: the parts that the pattern takes out become an error of ours. */
const SAID: readonly (readonly [pattern: RegExp, error: (...parts: readonly string[]) => Said])[] = [
  [
    /secret (\S+?):? not found/,
    (id) => ({
      code: 'usage',
      message: `secret ${id}: not found`,
      hint: `give it with --secret id=${id},src=FILE or --secret id=${id},env=NAME`,
    }),
  ],
  [
    /unset ssh forward key (\S+)/,
    (id = '') => ({
      code: 'usage',
      message: `no SSH key ${JSON.stringify(id)} forwarded from the client`,
      hint: `give it with --ssh ${id}`,
    }),
  ],
  [
    // Of `http` sources alone (source/http): blobs are said to be unexpected.
    /digest mismatch (sha256:\w+): (sha256:\w+)/,
    (got, wanted) => ({
      code: 'digest-mismatch',
      message: `the file is not what --checksum says: got ${got}, wanted ${wanted}`,
      hint: 'the file has changed, or the checksum is that of another version',
    }),
  ],
  [
    /invalid git ref ("(?:[^"\\]|\\.)*")/,
    (ref) => ({ code: 'usage', message: `${ref} is no git ref`, hint: GIT_HINT }),
  ],
  [
    /Get "[^"]*": unsupported protocol scheme "([^"]*)"/,
    (scheme) => ({ code: 'hostile', message: `a redirect that cannot be used: it leads to ${scheme}:` }),
  ],
  [
    /required device "([^"]*)" is not registered/,
    (name) => ({
      code: 'unsupported',
      message: `the device ${name} cannot be given: the daemon does not have it`,
      hint: 'describe it to the daemon (CDI), or leave out the word required',
    }),
  ],
];

/** Undefined where the daemon's words say it best. */
export function inOurWords(message: string): Said | undefined {
  for (const [pattern, error] of SAID) {
    const match = pattern.exec(message);
    if (match !== null) return error(...match.slice(1));
  }
  return undefined;
}
