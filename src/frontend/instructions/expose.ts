import { BuildError } from '../../contracts/index.ts';
import type { SourceLocation } from '../../contracts/index.ts';
import type { ExposeInstruction } from '../../dockerfile/index.ts';
import { goList } from '../go-format.ts';
import { withConfig, withHistory } from '../image-config.ts';
import type { InstructionHandler } from '../state.ts';
import { expandText, wordLocation } from '../words.ts';

const PORT_MAX = 65535;

/** Ports may be words of one variable, ranges, and carry a host part, which is checked and dropped. */
export const dispatchExpose: InstructionHandler<ExposeInstruction> = (state, instruction, context) => {
  const ports = instruction.ports.flatMap((word) => {
    const location = wordLocation(word, context);
    const { words } = expandText(word.text, state.env, { escape: context.escape }, location);
    return words.flatMap((spec) => exposedPorts(spec, location));
  });
  const sorted = [...new Set(ports)].sort(comparePorts);
  const exposed = { ...state.image.config?.ExposedPorts, ...Object.fromEntries(sorted.map((port) => [port, {}])) };
  const image = withConfig(state.image, { ExposedPorts: exposed });
  return { ...state, image: withHistory(image, `EXPOSE ${goList(sorted)}`, { layer: false }) };
};

/**
 * `[ip:][host:]port[-port][/protocol]` as `port/protocol` each.
 *
 * @throws BuildError `dockerfile`
 */
function exposedPorts(spec: string, location: SourceLocation): readonly string[] {
  const fail = (reason: string): never => {
    throw new BuildError({
      code: 'dockerfile',
      message: `cannot expose ${spec}: ${reason}`,
      hint: 'write PORT, PORT-PORT or PORT/PROTOCOL, for example 8080/tcp',
      location,
    });
  };
  const parts = spec.split(':');
  const ip = parts.slice(0, -2).join(':');
  const host = parts.at(-2) ?? '';
  const container = parts.at(-1) ?? '';
  const [port = '', ...rest] = container.split('/');
  const protocol = rest.join('/').toLowerCase();
  if (port === '') return fail('no port is given');
  if (!['', 'tcp', 'udp', 'sctp'].includes(protocol)) return fail(`${protocol} is no protocol`);
  if (ip !== '' && !isIp(ip)) return fail(`${ip} is no IP address`);
  const range = portRange(port) ?? fail(`${port} is no port`);
  if (host !== '') {
    const hostRange = portRange(host) ?? fail(`${host} is no host port`);
    const size = range.end - range.start;
    if (hostRange.end - hostRange.start !== size && size !== 0) return fail('the ranges differ in length');
  }
  const ports: string[] = [];
  for (let number = range.start; number <= range.end; number++) {
    ports.push(`${number}/${protocol === '' ? 'tcp' : protocol}`);
  }
  return ports;
}

/** By number, then protocol. */
function comparePorts(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1);
}

function portRange(text: string): { readonly start: number; readonly end: number } | undefined {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const start = Number(match[1]);
  const end = match[2] === undefined ? start : Number(match[2]);
  return start <= end && end <= PORT_MAX ? { start, end } : undefined;
}

function isIp(text: string): boolean {
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (/^(?:\d{1,3}\.){3}\d{1,3}$/.test(bare)) return bare.split('.').every((part) => Number(part) <= 255);
  return URL.canParse(`http://[${bare}]/`);
}
