/** Results in the order of the items, `width` of them in work at once. */
export async function* inOrder<T, R>(
  items: AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const pending: Promise<R>[] = [];
  try {
    for await (const item of items) {
      pending.push(work(item));
      if (pending.length < width) continue;
      const first = pending.shift();
      if (first !== undefined) yield await first;
    }
    for (let first = pending.shift(); first !== undefined; first = pending.shift()) yield await first;
  } finally {
    // After an error nobody waits for the rest; nothing it does matters, but it must not go unhandled.
    await Promise.allSettled(pending);
  }
}
