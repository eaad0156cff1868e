/** As Go's time.RFC3339Nano in UTC: no fraction when there is none. @param milliseconds Since the epoch. */
export function formatTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.?0*Z$/, 'Z');
}
