/** Parts of a name between `_` that sound secret, and parts that say it is none (BuildKit's validations.go). */
const SECRET = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const PUBLIC = /(?:_|^)(?:public|file|version)(?:_|$)/i;

export function isSecretName(name: string): boolean {
  return SECRET.test(name) && !PUBLIC.test(name);
}
