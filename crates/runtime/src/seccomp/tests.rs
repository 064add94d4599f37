//! The tables against the kernel's own headers, the program against a reading of its instructions, and both
//! against a real kernel: filters belong to a thread, so a test may filter one and throw it away.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use rustix::io::Errno;

use super::arguments::NEW_NAMESPACE_FLAGS;
use super::*;
use crate::sys::seccomp::probe;

const BOTH: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

/// What the kernel would return for one call: a reading of classic BPF by its documentation, independent of the
/// code that builds it.
fn run(program: &Program, arch: u32, number: u32, args: [u64; 6]) -> u32 {
    let word = |at: u32| -> u32 {
        match at {
            0 => number,
            4 => arch,
            16.. => {
                let value = args[usize::try_from((at - 16) / 8).unwrap()];
                u32::try_from(if at.is_multiple_of(8) { value & 0xffff_ffff } else { value >> 32 }).unwrap()
            }
            _ => panic!("a load from {at}"),
        }
    };
    let code = program.instructions();
    let (mut at, mut accumulator) = (0_usize, 0_u32);
    loop {
        let instruction = code[at];
        at += 1;
        let hit = match u32::from(instruction.code) {
            0x20 => {
                accumulator = word(instruction.k);
                continue;
            }
            0x06 => return instruction.k,
            0x05 => {
                at += usize::try_from(instruction.k).unwrap();
                continue;
            }
            0x15 => accumulator == instruction.k,
            0x35 => accumulator >= instruction.k,
            0x45 => accumulator & instruction.k != 0,
            other => panic!("unknown operation {other:#x}"),
        };
        at += usize::from(if hit { instruction.jt } else { instruction.jf });
    }
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

fn audit_arch(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 => 0xc000_003e,
        Arch::Aarch64 => 0xc000_00b7,
    }
}

fn errno(errno: Errno) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno.raw_os_error().unsigned_abs()
}

fn number(arch: Arch, name: &str) -> u32 {
    [ALLOWED, REFUSED, ABSENT]
        .into_iter()
        .flat_map(table::all)
        .find(|call| call.name == name)
        .and_then(|call| call.number(arch))
        .unwrap_or_else(|| panic!("{name} has no number"))
}

/// The verdict on a call by name.
fn judge(arch: Arch, name: &str, args: [u64; 6]) -> u32 {
    run(&compile(arch).unwrap(), audit_arch(arch), number(arch, name), args)
}

#[test]
fn every_number_gets_the_answer_of_the_list_that_names_it_and_no_other() {
    for arch in BOTH {
        let program = compile(arch).unwrap();
        let mut wanted = BTreeMap::new();
        for (list, answer) in [(ALLOWED, ALLOW), (REFUSED, errno(Errno::PERM)), (ABSENT, errno(Errno::NOSYS))]
        {
            for call in table::all(list) {
                // The one allowed call whose refusals also cover all-zero arguments.
                let answer = if matches!(call.name, "socket" | "socketpair") {
                    errno(Errno::AFNOSUPPORT)
                } else {
                    answer
                };
                if let Some(number) = call.number(arch) {
                    wanted.insert(number, answer);
                }
            }
        }
        // The second run of numbers are the x32 calls, which share the architecture's entry point.
        for number in (0..1024).chain(0x4000_0000..0x4000_0400).chain([0x7fff_ffff, u32::MAX]) {
            let want = wanted.get(&number).copied().unwrap_or(errno(Errno::NOSYS));
            assert_eq!(run(&program, audit_arch(arch), number, [0; 6]), want, "{arch:?} {number}");
        }
    }
}

/// The calls that a header of the package linux-libc-dev defines, or `None`, loudly, when it is not installed.
fn header(path: &str) -> Option<Vec<(String, u32)>> {
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: {path} (package linux-libc-dev) is not installed");
        return None;
    };
    let calls = text
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix("#define __NR")?;
            let (name, value) = line.strip_prefix("3264_").or(line.strip_prefix('_'))?.split_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        })
        .collect::<Vec<_>>();
    assert!(calls.len() > 300, "only {} calls were found in {path}", calls.len());
    Some(calls)
}

#[test]
fn every_call_of_the_kernel_headers_is_on_a_list_under_its_own_number() {
    for (name, value) in header("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").into_iter().flatten() {
        assert_eq!(number(Arch::X86_64, &name), value, "{name}");
    }
    // 64-bit Arm uses the generic numbers. It leaves out those that 32-bit machines have for 64-bit times.
    const TIME64: std::ops::RangeInclusive<u32> = 403..=423;
    for (name, value) in header("/usr/include/asm-generic/unistd.h").into_iter().flatten() {
        let name = match name.as_str() {
            "fstatat" => "newfstatat",
            "sync_file_range2" => "sync_file_range",
            "arch_specific_syscall" | "syscalls" => continue,
            other => other,
        };
        if !TIME64.contains(&value) {
            assert_eq!(number(Arch::Aarch64, name), value, "{name}");
        }
    }
}

#[test]
fn calls_added_since_the_numbers_were_unified_have_one_number_everywhere() {
    for call in [ALLOWED, REFUSED, ABSENT].into_iter().flat_map(table::all) {
        if call.number(Arch::X86_64).max(call.number(Arch::Aarch64)) >= Some(424) {
            assert_eq!(call.number(Arch::X86_64), call.number(Arch::Aarch64), "{}", call.name);
        }
    }
}

#[test]
fn every_group_and_refusal_has_its_reason() {
    for why in [ALLOWED, REFUSED, ABSENT].into_iter().flatten().map(|group| group.why) {
        assert!(why.len() > 10, "{why:?}");
    }
    for refusal in REFUSALS {
        assert!(refusal.why.len() > 10, "{}", refusal.call);
    }
}

#[test]
fn an_entry_point_of_another_architecture_kills() {
    const I386: u32 = 0x4000_0003;
    const ARM: u32 = 0x4000_0028;
    for arch in BOTH {
        let program = compile(arch).unwrap();
        for foreign in [I386, ARM, 0] {
            assert_eq!(run(&program, foreign, number(arch, "getpid"), [0; 6]), KILL, "{arch:?} {foreign:#x}");
        }
    }
}

#[test]
fn clone_makes_threads_and_processes_but_no_namespace() {
    const THREAD: u64 = 0x003d_0f00;
    const SIGCHLD: u64 = 17;
    for arch in BOTH {
        for flags in [THREAD, SIGCHLD, 0x4100 | SIGCHLD] {
            assert_eq!(judge(arch, "clone", [flags, 0, 0, 0, 0, 0]), ALLOW, "{flags:#x}");
        }
        for bit in (0..32).map(|bit| 1_u32 << bit).filter(|bit| bit & NEW_NAMESPACE_FLAGS != 0) {
            for flags in [u64::from(bit), u64::from(bit) | SIGCHLD, u64::from(bit) | THREAD, u64::MAX] {
                assert_eq!(judge(arch, "clone", [flags, 0, 0, 0, 0, 0]), errno(Errno::PERM), "{flags:#x}");
            }
        }
    }
    let named = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    assert_eq!(named.into_iter().fold(0, |all, flag| all | flag.unsigned_abs()), NEW_NAMESPACE_FLAGS);
}

#[test]
fn sockets_are_local_or_ip_or_ask_for_routes() {
    let (stream, datagram, raw) = (1, 2, 3);
    let flags = 0x80800; // SOCK_NONBLOCK | SOCK_CLOEXEC
    let high = 0xdead_beef_0000_0000; // the kernel ignores the upper half, and so must the filter
    let cases = [
        ("a local stream", [1, stream | flags, 0], ALLOW),
        ("a local sequence of packets", [1, 5 | flags, 0], ALLOW),
        ("TCP", [2, stream | flags, 0], ALLOW),
        ("TCP by name over IPv6", [10, stream, 6], ALLOW),
        ("multipath TCP", [2, stream | flags, 262], ALLOW),
        ("UDP", [10, datagram | flags, 17], ALLOW),
        ("an unprivileged ping", [2, datagram, 1], ALLOW),
        ("a raw socket, which its capability refuses", [2, raw, 1], ALLOW),
        ("routes", [16, raw | flags, 0], ALLOW),
        ("TCP with noise in the upper half", [high | 2, high | stream, high], ALLOW),
        ("netfilter", [16, raw, 12], errno(Errno::PROTONOSUPPORT)),
        ("audit", [16, raw, 9], errno(Errno::PROTONOSUPPORT)),
        ("SCTP", [2, stream, 132], errno(Errno::PROTONOSUPPORT)),
        ("SCTP by type", [10, 5 | flags, 0], errno(Errno::PROTONOSUPPORT)),
        ("DCCP by type", [2, 6, 0], errno(Errno::PROTONOSUPPORT)),
        ("a packet socket under an alias", [2, 10 | flags, 0], errno(Errno::PROTONOSUPPORT)),
        ("AF_UNSPEC", [0, stream, 0], errno(Errno::AFNOSUPPORT)),
        ("AF_PACKET", [17, raw, 0x300], errno(Errno::AFNOSUPPORT)),
        ("AF_ALG", [38, 5, 0], errno(Errno::AFNOSUPPORT)),
        ("AF_VSOCK", [40, stream, 0], errno(Errno::AFNOSUPPORT)),
        ("AF_VSOCK with noise in the upper half", [high | 40, stream, 0], errno(Errno::AFNOSUPPORT)),
    ];
    for arch in BOTH {
        for (what, [family, kind, protocol], want) in cases {
            assert_eq!(judge(arch, "socket", [family, kind, protocol, 0, 0, 0]), want, "{what}");
        }
        assert_eq!(judge(arch, "socketpair", [1, stream, 0, 0, 0, 0]), ALLOW);
        assert_eq!(judge(arch, "socketpair", [40, stream, 0, 0, 0, 0]), errno(Errno::AFNOSUPPORT));
    }
}

#[test]
fn personality_asks_and_turns_randomisation_off_but_no_more() {
    for arch in BOTH {
        for value in [0, 8, 0x2_0000, 0x2_0008, 0x4_0000, 0xffff_ffff, u64::MAX] {
            assert_eq!(judge(arch, "personality", [value, 0, 0, 0, 0, 0]), ALLOW, "{value:#x}");
        }
        for value in [0x10_0000, 0x40_0000, 0x44_0000, 4, 0x7fff_ffff] {
            assert_eq!(judge(arch, "personality", [value, 0, 0, 0, 0, 0]), errno(Errno::PERM), "{value:#x}");
        }
    }
}

/// Runs `then` in a thread under the real filter.
fn filtered<T: Send>(then: impl FnOnce() -> T + Send) -> T {
    let filter = Filter::compile().unwrap();
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                filter.apply().unwrap();
                then()
            })
            .join()
            .unwrap()
    })
}

/// Calls whose arguments of all ones already fail with `EPERM` or `ENOSYS` on some kernels without any filter, or
/// that must not be tried without one.
const NO_CONTROL: &[&str] = &["vhangup", "modify_ldt"];

#[test]
fn the_kernel_refuses_each_refused_call_and_only_because_of_the_filter() {
    let arch = Arch::native().unwrap();
    let calls = || table::all(REFUSED).filter_map(|call| Some((call.name, call.number(arch)?)));
    filtered(|| {
        for (name, number) in calls() {
            assert_eq!(probe(number, [u64::MAX; 6]), Err(Errno::PERM), "{name}");
        }
        for (name, number) in table::all(ABSENT).filter_map(|call| Some((call.name, call.number(arch)?))) {
            assert_eq!(probe(number, [u64::MAX; 6]), Err(Errno::NOSYS), "{name}");
        }
    });
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: the unfiltered control needs root");
        return;
    }
    for (name, number) in calls().filter(|(name, _)| !NO_CONTROL.contains(name)) {
        let unfiltered = probe(number, [u64::MAX; 6]);
        assert_ne!(
            unfiltered,
            Err(Errno::PERM),
            "{name} is refused without a filter: the test proves nothing"
        );
    }
}

#[test]
fn the_kernel_refuses_arguments_as_the_tables_say() {
    let native = Arch::native().unwrap();
    filtered(|| {
        let socket =
            |family: u64, kind, protocol| probe(number(native, "socket"), [family, kind, protocol, 0, 0, 0]);
        assert_eq!(socket(38, 5, 0), Err(Errno::AFNOSUPPORT), "AF_ALG");
        assert_eq!(socket(40, 1, 0), Err(Errno::AFNOSUPPORT), "AF_VSOCK");
        assert_eq!(socket(17, 3, 0), Err(Errno::AFNOSUPPORT), "AF_PACKET");
        assert_eq!(socket(16, 3, 12), Err(Errno::PROTONOSUPPORT), "netfilter");
        std::net::UdpSocket::bind("127.0.0.1:0").expect("UDP must still work");
        for bit in (0..32).map(|bit| 1_u32 << bit).filter(|bit| bit & NEW_NAMESPACE_FLAGS != 0) {
            let flags = u64::from(bit) | 17;
            assert_eq!(
                probe(number(native, "clone"), [flags, 0, 0, 0, 0, 0]),
                Err(Errno::PERM),
                "{flags:#x}"
            );
        }
        assert_eq!(probe(number(native, "personality"), [0x40_0000, 0, 0, 0, 0, 0]), Err(Errno::PERM));
    });
}

/// A 32-bit program that exits with 42: an ELF header, one program header, and `mov eax,1; mov ebx,42; int 0x80`.
#[cfg(target_arch = "x86_64")]
const PROGRAM_OF_32_BITS: &[u8] = &[
    0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0,
    0, // identification: 32 bits, little-endian
    2, 0, 3, 0, 1, 0, 0, 0, 0x54, 0x80, 0x04, 0x08, 0x34, 0, 0,
    0, // executable, i386, entry, header offset
    0, 0, 0, 0, 0, 0, 0, 0, 0x34, 0, 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 0, // sizes, one program header
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x04, 0x08, 0, 0x80, 0x04, 0x08, // load the file at 0x08048000
    0x60, 0, 0, 0, 0x60, 0, 0, 0, 5, 0, 0, 0, 0, 0x10, 0, 0, // 96 bytes, read and execute
    0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80, // exit(42)
];

#[test]
#[cfg(target_arch = "x86_64")]
fn a_32_bit_program_dies_at_its_first_call() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exit-42");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path).unwrap();
    file.write_all(PROGRAM_OF_32_BITS).unwrap();
    drop(file);
    match Command::new(&path).status() {
        Ok(status) => assert_eq!(status.code(), Some(42), "without a filter it must run"),
        Err(error) => {
            eprintln!("skipped: this kernel runs no 32-bit programs: {error}");
            return;
        }
    }
    let status = filtered(|| Command::new(&path).status().unwrap());
    assert_eq!(status.signal(), Some(libc::SIGSYS), "{status}");
}

#[test]
fn everyday_programs_work_under_the_filter() {
    let dir = tempfile::tempdir().unwrap();
    let cases: &[(&str, &[&str], &str)] = &[
        ("sh", &["-c", "echo $((6*7)) | tr 4 5"], "52\n"),
        ("bash", &["-c", "coproc cat; echo x >&${COPROC[1]}; read -r l <&${COPROC[0]}; echo $l"], "x\n"),
        (
            "python3",
            &[
                "-c",
                "import threading,subprocess,socket,asyncio,multiprocessing as m,tempfile,os\n\
                 t=threading.Thread(target=lambda:None);t.start();t.join()\n\
                 assert subprocess.run(['true']).returncode==0\n\
                 socket.create_server(('127.0.0.1',0));socket.if_nameindex()\n\
                 asyncio.run(asyncio.sleep(0))\n\
                 q=m.Queue();p=m.Process(target=q.put,args=(7,));p.start();print(q.get());p.join()",
            ],
            "7\n",
        ),
        (
            "node",
            &[
                "-e",
                "os.networkInterfaces();new worker_threads.Worker('0',{eval:true}).on('exit',()=>\
                 fs.promises.readFile('/dev/null').then(()=>\
                 console.log(child_process.execSync('echo hi').toString().trim())))",
            ],
            "hi\n",
        ),
        ("git", &["init", "-q", "repo"], ""),
        (
            "git",
            &[
                "-C",
                "repo",
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "commit",
                "-q",
                "--allow-empty",
                "-mx",
            ],
            "",
        ),
        ("tar", &["-cf", "/dev/null", "."], ""),
        ("apt-config", &["shell", "X", "Dir"], "X='/'\n"),
        ("strace", &["-qq", "-o", "/dev/null", "true"], ""),
    ];
    for (program, args, want) in cases {
        let run = || Command::new(program).args(*args).current_dir(dir.path()).output();
        let Ok(output) = filtered(run) else {
            eprintln!("skipped: {program} is not installed");
            continue;
        };
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {}\n{stderr}", output.status);
        if !want.is_empty() {
            assert_eq!(String::from_utf8_lossy(&output.stdout), *want, "{program}\n{stderr}");
        }
    }
}
