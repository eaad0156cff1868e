import type { Registry, RegistryOptions } from './types.ts';

export function createRegistry(options: RegistryOptions = {}): Registry {
  throw new Error(`not yet: ${Object.keys(options).join()}`);
}
