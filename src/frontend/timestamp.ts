/** Nanoseconds of SOURCE_DATE_EPOCH for what a step creates; -1 = as it comes. */
export function timestamp(epoch: number | undefined): bigint {
  return epoch === undefined ? -1n : BigInt(epoch) * 1_000_000_000n;
}
