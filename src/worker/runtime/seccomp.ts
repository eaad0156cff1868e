/**
 * The default seccomp profile, as Docker and BuildKit apply it (runtime-spec config-linux.md, `linux.seccomp`): a list of
 * system calls that are allowed, everything else fails with EPERM. Written for the default capabilities, of which a
 * step has no CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_BPF ...: what those would open is not listed. Names that the runtime's
 * libseccomp does not know are skipped by it.
 */

const EPERM = 1;
const ENOSYS = 38;
const AF_VSOCK = 40;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const CLONE_NAMESPACES = 0x7e02_0000;

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  readonly errnoRet?: number;
  readonly args?: readonly {
    readonly index: number;
    readonly value: number;
    readonly valueTwo?: number;
    readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_NE' | 'SCMP_CMP_MASKED_EQ';
  }[];
}

export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ERRNO';
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

/** By area, so that a reader can check them; one line an area where they fit. */
const ALLOWED = `
  read write readv writev pread64 pwrite64 preadv preadv2 pwritev pwritev2 lseek _llseek sendfile sendfile64 splice tee
  vmsplice copy_file_range readahead fadvise64 fadvise64_64 cachestat
  open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 ioctl flock name_to_handle_at
  stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx access faccessat faccessat2 readlink readlinkat
  statfs statfs64 fstatfs fstatfs64 statmount listmount ustat getcwd chdir fchdir umask getdents getdents64
  link linkat symlink symlinkat unlink unlinkat rename renameat renameat2 mkdir mkdirat rmdir mknod mknodat
  chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32
  truncate truncate64 ftruncate ftruncate64 fallocate utime utimes futimesat utimensat utimensat_time64
  getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr removexattr lremovexattr
  fremovexattr getxattrat setxattrat listxattrat removexattrat file_getattr file_setattr
  sync syncfs fsync fdatasync sync_file_range
  inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
  poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
  epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 pipe pipe2
  io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64
  socketcall socketpair bind connect listen accept accept4 getsockname getpeername getsockopt setsockopt shutdown
  send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64
  brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock munlockall mseal
  remap_file_pages memfd_create memfd_secret membarrier map_shadow_stack pkey_alloc pkey_free pkey_mprotect
  process_mrelease
  fork vfork execve execveat exit exit_group wait4 waitid waitpid kill tkill tgkill pidfd_open pidfd_send_signal
  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn restart_syscall pause alarm
  getpid getppid gettid getpgid getpgrp setpgid getsid setsid getpriority setpriority ioprio_get ioprio_set
  getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32
  setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32
  setfsuid setfsuid32 setfsgid setfsgid32 getgroups getgroups32 setgroups setgroups32 capget capset
  getrlimit setrlimit ugetrlimit prlimit64 getrusage times sysinfo uname prctl seccomp
  landlock_create_ruleset landlock_add_rule landlock_restrict_self lsm_get_self_attr lsm_list_modules lsm_set_self_attr
  sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler
  sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_rr_get_interval_time64
  sched_yield getcpu rseq set_robust_list get_robust_list set_tid_address set_thread_area get_thread_area
  futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue
  nanosleep clock_nanosleep clock_nanosleep_time64 clock_gettime clock_gettime64 clock_getres clock_getres_time64
  clock_adjtime clock_adjtime64 adjtimex gettimeofday time getitimer setitimer
  timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
  timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
  ipc msgget msgsnd msgrcv msgctl semget semop semctl semtimedop semtimedop_time64 shmget shmat shmdt shmctl
  mq_open mq_unlink mq_notify mq_getsetattr mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64
  getrandom ptrace process_vm_readv process_vm_writev chroot uretprobe
`;

interface Architecture {
  /** The runtime-spec names: the native one first, then those whose programs it runs too. */
  readonly names: readonly string[];
  readonly allowed: string;
  /** Which argument of clone(2) holds the flags. */
  readonly cloneFlags: 0 | 1;
}

/** By `process.arch`. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  x64: {
    names: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
    allowed: 'arch_prctl modify_ldt',
    cloneFlags: 0,
  },
  ia32: { names: ['SCMP_ARCH_X86'], allowed: 'modify_ldt', cloneFlags: 0 },
  arm64: {
    names: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
    allowed: 'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls',
    cloneFlags: 0,
  },
  arm: {
    names: ['SCMP_ARCH_ARM'],
    allowed: 'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls',
    cloneFlags: 0,
  },
  ppc64: { names: ['SCMP_ARCH_PPC64LE'], allowed: 'sync_file_range2 swapcontext', cloneFlags: 0 },
  riscv64: { names: ['SCMP_ARCH_RISCV64'], allowed: 'riscv_flush_icache riscv_hwprobe', cloneFlags: 0 },
  s390x: {
    names: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
    allowed: 's390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr',
    cloneFlags: 1,
  },
  loong64: { names: ['SCMP_ARCH_LOONGARCH64'], allowed: '', cloneFlags: 0 },
};

const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '');

/**
 * @param arch `process.arch`.
 * @returns Undefined for an architecture without a list of its own: better no filter than one that breaks every step.
 */
export function defaultSeccompProfile(arch: string): SeccompProfile | undefined {
  const architecture = ARCHITECTURES[arch];
  if (architecture === undefined) return undefined;
  const personality = (value: number): SeccompRule => ({
    names: ['personality'],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }],
  });
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: architecture.names,
    syscalls: [
      { names: [...words(ALLOWED), ...words(architecture.allowed)], action: 'SCMP_ACT_ALLOW' },
      {
        names: ['socket'],
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 0, value: AF_VSOCK, op: 'SCMP_CMP_NE' }],
      },
      // PER_LINUX, PER_LINUX32, UNAME26, both, and the question 'which is it'.
      ...[0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff].map(personality),
      {
        names: ['clone'],
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: architecture.cloneFlags, value: CLONE_NAMESPACES, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
      },
      // Its flags are in memory where no filter sees them; ENOSYS makes libc fall back to clone.
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
    ],
  };
}
