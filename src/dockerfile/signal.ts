/** Linux signal names as moby/sys/signal knows them; real-time ones are spelled by {@link isSignal}. */
const NAMES = new Set(
  (
    'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP ' +
    'TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'
  ).split(' '),
);
/** RTMIN+1 to RTMIN+15, RTMAX-14 to RTMAX-1. */
const REAL_TIME = /^(RTMIN\+([1-9]|1[0-5])|RTMAX-([1-9]|1[0-4]))$/;

/** Whether STOPSIGNAL takes the text: a name with or without `SIG`, in any case, or a number other than 0. */
export function isSignal(text: string): boolean {
  if (/^[-+]?\d+$/.test(text)) return Number(text) !== 0;
  const name = text.toUpperCase().replace(/^SIG/, '');
  return NAMES.has(name) || REAL_TIME.test(name);
}
