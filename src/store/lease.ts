/** A fresh path in the temporary directory of this process. */
export function leaseTempPath(root: string, suffix: string): string {
  throw new Error(`not yet: ${root} ${suffix}`);
}
