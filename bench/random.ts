/** Bytes that are the same on every machine. */
export interface Random {
  /** 0 up to, not including, `limit`. */
  below(limit: number): number;
  /** Noise that does not compress. */
  noise(bytes: number): Buffer;
  /** Words in lines, which compress to about 40%. */
  text(bytes: number): Buffer;
}

/** xorshift128 (Marsaglia 2003), seeded by `seed`. */
export function createRandom(seed: number): Random {
  let x = (seed ^ 0x9e3779b9) >>> 0;
  let y = 362436069;
  let z = 521288629;
  let w = 88675123;
  const next = (): number => {
    const t = x ^ (x << 11);
    x = y;
    y = z;
    z = w;
    w = (w ^ (w >>> 19) ^ (t ^ (t >>> 8))) >>> 0;
    return w;
  };
  for (let i = 0; i < 16; i++) next();
  const below = (limit: number): number => next() % limit;
  return {
    below,
    noise(bytes) {
      const words = new Uint32Array(Math.ceil(bytes / 4));
      for (let i = 0; i < words.length; i++) words[i] = next();
      return Buffer.from(words.buffer, 0, bytes);
    },
    text(bytes) {
      const data = Buffer.allocUnsafe(bytes);
      for (let at = 0; at < bytes;) {
        at += data.write(WORDS[below(WORDS.length)]!, at, 'latin1');
        if (at < bytes) data[at++] = below(12) === 0 ? 10 : 32;
      }
      return data;
    },
  };
}

const WORDS: readonly string[] = (() => {
  const letters = 'etaoinshrdlucmfwypvbgkqjxz';
  const words: string[] = [];
  for (let i = 0; i < 2048; i++) {
    let word = '';
    for (let n = i, length = 2 + (i % 9); length > 0; length--, n = (n * 7 + 3) >>> 0) word += letters[n % 26]!;
    words.push(word);
  }
  return words;
})();
