import type { Flag } from '../command.ts';

/** Hex digits of an ID shown in tables, as docker does. */
const SHORT_ID = 12;

export const PLATFORM: Flag = {
  name: 'platform',
  value: 'OS/ARCH',
  help: "Of an image of several platforms (default: this machine's)",
};

export const FORMAT: Flag = {
  name: 'format',
  value: 'TEMPLATE',
  help: "A Go template as docker's, table TEMPLATE for columns, or json",
};

export const MIRROR: Flag = {
  name: 'mirror',
  value: 'REGISTRY=HOST[,HOST]',
  multiple: true,
  help: 'Ask HOST before REGISTRY, as docker.io=localhost:5000',
};

export function shortId(id: string): string {
  return id.slice('sha256:'.length, 'sha256:'.length + SHORT_ID);
}
