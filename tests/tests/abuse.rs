//! Limits under abuse: what a sandbox takes is counted and bounded, the neighbour has its share and the server goes on.
//!
//! What hostile commands do to their own exec is in `hostile_commands.rs`; this suite is about the machine's resources.

#![forbid(unsafe_code)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lazaret_tests::{Native, Server, Traces, wait};
use serde_json::{Value, json};

/// Memory of the sandbox that misbehaves.
const MEMORY_BYTES: u64 = 128 << 20;

/// Disk of the sandbox that misbehaves.
const DISK_BYTES: u64 = 256 << 20;

/// Longest for anything that is waited for; nothing here depends on how fast it is.
const LIMIT: Duration = Duration::from_secs(60);

/// A server with a small sandbox and its neighbour.
struct Street {
    server: Server,
    native: Native,
    rogue: String,
    neighbour: String,
}

impl Street {
    fn new() -> Result<Street> {
        let server = Server::start();
        let native = server.native();
        let small = json!({ "memory_bytes": MEMORY_BYTES, "pids": 128, "disk_bytes": DISK_BYTES });
        let rogue = native.create(&json!({ "name": "rogue", "resources": small }))?;
        let neighbour = native.create(&json!({ "name": "neighbour" }))?;
        Ok(Street { server, native, rogue, neighbour })
    }

    /// Runs Python in the rogue, and gives the whole answer.
    fn python(&self, source: &str) -> Result<Value> {
        let request = json!({ "command": ["python3", "-c", source], "timeout_ms": 60_000 });
        self.native.exec_with(&self.rogue, &request)
    }

    /// Runs Python in the rogue that ends well, and gives what it printed.
    fn says(&self, source: &str) -> Result<String> {
        let done = self.python(source)?;
        ensure!(done["exit_code"] == 0, "{done}");
        Ok(done["stdout"].as_str().context("text")?.trim().to_owned())
    }

    fn stats(&self, id: &str) -> Result<Value> {
        Ok(self.native.client().get(&format!("/lazaret/v1/sandboxes/{id}/stats"))?.expect(200))
    }

    /// Asserts that all three work: the neighbour, the server and the rogue itself, which was not ended for it.
    #[track_caller]
    fn assert_usable(&self) {
        for id in [&self.neighbour, &self.rogue] {
            assert_eq!(self.native.shell(id, "echo well > /tmp/w; cat /tmp/w").expect("it works"), "well\n");
            assert_eq!(self.native.state(id).expect("it has a state"), "running");
        }
        assert_eq!(self.server.client().get("/readyz").expect("an answer").status, 200);
        assert_eq!(self.stats(&self.neighbour).expect("stats")["oom_kills"], 0);
    }
}

#[test]
fn memory_of_every_kind_is_counted_and_its_end_is_told_as_such() -> Result<()> {
    let street = Street::new()?;
    // Programs that take it themselves are killed, and the answer says why.
    for hog in [
        "x = []\nwhile True: x.append(bytearray(b'x' * (4 << 20)))",
        "import mmap\nx = []\nwhile True:\n  m = mmap.mmap(-1, 4 << 20)\n  m.write(b'x' * (4 << 20))\n  x.append(m)",
        "import os\nf = os.memfd_create('x')\nwhile True: os.write(f, b'x' * (4 << 20))",
        "import os, time\nfor _ in range(40):\n  if os.fork() == 0:\n    x = b'x' * (6 << 20)\n    time.sleep(1000)\nos.wait(); os.kill(0, 9)",
    ] {
        let done = street.python(hog)?;
        assert_eq!((&done["signal"], &done["oom"]), (&json!(9), &json!(true)), "{hog}: {done}");
        street.assert_usable();
    }
    // A snippet says so as well, though an interpreter that runs already has forked it.
    let snippet = "x = []\nwhile True: x.append(b'x' * (4 << 20))";
    let done = street.native.run(&street.rogue, "python", snippet)?;
    assert_eq!(done["oom"], true, "{done}");
    // File systems in memory end at their own size, before the programs do, whoever else uses memory.
    let fill = "import os\nf = open('/dev/shm/fill', 'wb', buffering=0)\ntry:\n  while True: f.write(b'x' * (1 << 20))\nexcept OSError as error: print(error.errno, os.path.getsize('/dev/shm/fill') >> 20)";
    assert_eq!(street.says(fill)?, "28 64", "ENOSPC at half of the memory");
    // What lies there counts: a program that would fit otherwise does not beside it.
    let done = street.python("x = b'x' * (90 << 20); print('fits')")?;
    assert_eq!(done["oom"], true, "{done}");
    street.native.shell(&street.rogue, "rm /dev/shm/fill")?;
    assert_eq!(street.says("x = b'x' * (90 << 20); print('fits')")?, "fits");
    let stats = street.stats(&street.rogue)?;
    assert!(stats["memory_peak_bytes"].as_u64().is_some_and(|peak| peak <= MEMORY_BYTES), "{stats}");
    street.assert_usable();
    Ok(())
}

#[test]
fn a_kill_that_memory_has_nothing_to_do_with_is_not_called_one() -> Result<()> {
    let street = Street::new()?;
    street.python("x = []\nwhile True: x.append(bytearray(b'x' * (4 << 20)))")?;
    let done = street.python("import os; os.kill(os.getpid(), 9)")?;
    assert_eq!((&done["signal"], &done["oom"]), (&json!(9), &json!(false)), "{done}");
    let request = json!({ "command": ["sleep", "1000"], "timeout_ms": 200 });
    let done = street.native.exec_with(&street.rogue, &request)?;
    assert_eq!((&done["timed_out"], &done["oom"]), (&json!(true), &json!(false)), "{done}");
    // A shell tells it by its exit code, and the command line says it in words.
    let hog = "python3 -c 'x = b\"x\" * (300 << 20)'; exit $?";
    let output = street.server.command().args(["exec", &street.rogue, "--", "sh", "-c", hog]).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(137), "{said}");
    assert!(said.contains("ran out of memory"), "{said}");
    Ok(())
}

/// A file of the control group of sandbox `id`, from whichever hierarchy has it.
fn group_file(server: &Server, id: &str, names: &[&str]) -> Result<String> {
    let parent = server.data_dir().file_name().context("a name")?.to_string_lossy().into_owned();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for name in names {
            let within = folder.to_string_lossy().contains(&parent);
            let plain = id.replace('-', "");
            let own = folder.file_name().is_some_and(|name| {
                let name = name.to_string_lossy();
                name.contains(id) || name.contains(&plain)
            });
            if within && own && folder.join(name).is_file() {
                return Ok(fs::read_to_string(folder.join(name))?);
            }
        }
        let below = fs::read_dir(&folder).into_iter().flatten().flatten();
        folders.extend(below.map(|entry| entry.path()).filter(|path| path.is_dir() && !path.is_symlink()));
    }
    anyhow::bail!("no control group of {id} has any of {names:?}")
}

#[test]
fn two_sandboxes_that_spin_leave_a_third_its_share_and_the_server_alive() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let small = json!({ "resources": { "cpu_millis": 200 } });
    let spinners = [native.create(&small)?, native.create(&small)?];
    let third = native.create(&json!({}))?;
    for id in &spinners {
        for _ in 0..4 {
            native.background(id, &["sh", "-c", "while :; do :; done"])?;
        }
    }
    for id in &spinners {
        // The kernel has held it back: it used up its quota again and again.
        wait::until("the spinner to be held back", LIMIT, || {
            let text = group_file(&server, id, &["cpu.stat"]).ok()?;
            let held = text.lines().find_map(|line| line.strip_prefix("nr_throttled "))?;
            (held.trim().parse::<u64>().ok()? > 3).then_some(())
        });
    }
    // All weigh the same, so that nobody's many processes count for more than another's one.
    let weight = |id: &str| group_file(&server, id, &["cpu.weight", "cpu.shares"]);
    assert_eq!(weight(&spinners[0])?, weight(&third)?);
    let sum = "print(sum(i * i for i in range(200_000)))";
    assert_eq!(native.exec(&third, &["python3", "-c", sum])?, "2666646666700000\n");
    let ready = server.client().get("/readyz")?;
    assert_eq!(ready.status, 200, "{ready}");
    native.create(&json!({ "name": "a-fourth" }))?;
    Ok(())
}

#[test]
fn open_files_sockets_watches_and_terminals_end_at_their_limits() -> Result<()> {
    let street = Street::new()?;
    // Each takes one kind of thing until the kernel says no, and prints how many there were and the error.
    let take = |what: &str, most: usize| {
        format!(
            "import ctypes, errno, os, pty, resource, socket\nlibc = ctypes.CDLL(None, use_errno=True)\n\
             def inotify():\n  fd = libc.inotify_init1(0)\n  if fd < 0: raise OSError(ctypes.get_errno(), 'inotify')\n  return fd\n\
             held = []\ntry:\n  while len(held) < {most}: held.append({what})\n  print(len(held), 'no limit')\n\
             except (OSError, MemoryError) as error:\n  print(len(held), errno.errorcode.get(getattr(error, 'errno', None), error))\n"
        )
    };
    for (what, most, limits) in [
        ("os.open('/dev/null', 0)", 70_000, ["EMFILE", "EMFILE"].as_slice()),
        ("socket.socketpair()", 70_000, &["EMFILE", "ENOBUFS"]),
        ("pty.openpty()", 10_000, &["ENOSPC", "EMFILE", "OSError"]),
        ("inotify()", 10_000, &["EMFILE"]),
    ] {
        let done = street.python(&take(what, most))?;
        let said = done["stdout"].as_str().unwrap_or_default().trim().to_owned();
        let ended = limits.iter().any(|limit| said.contains(limit)) || said.contains("out of pty devices");
        ensure!(ended || done["oom"] == true, "{what}: {done}");
        street.assert_usable();
    }
    Ok(())
}

#[test]
fn memory_of_sockets_counts_as_the_sandboxes_own() -> Result<()> {
    let street = Street::new()?;
    let stuff = "import socket\nheld = []\nwhile True:\n  a, b = socket.socketpair()\n  a.setblocking(False)\n  a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)\n  held.append((a, b))\n  try:\n    while True: a.send(b'x' * 65536)\n  except BlockingIOError: pass";
    let done = street.python(stuff)?;
    let refused = done["stderr"].as_str().is_some_and(|text| text.contains("OSError"));
    assert!(done["oom"] == true || refused, "{done}");
    let stats = street.stats(&street.rogue)?;
    assert!(stats["memory_peak_bytes"].as_u64().is_some_and(|peak| peak <= MEMORY_BYTES), "{stats}");
    street.assert_usable();
    Ok(())
}

#[test]
fn sparse_files_and_inodes_end_at_the_own_disk_and_the_host_keeps_its_space() -> Result<()> {
    let street = Street::new()?;
    // A file may claim any size; what it takes on the host is what was written.
    let sparse = "import os\nf = os.open('/root/sparse', os.O_CREAT | os.O_WRONLY)\ntry:\n  os.ftruncate(f, 1 << 43); print('made')\nexcept OSError as error: print(error.errno)\ntry:\n  os.posix_fallocate(f, 0, 1 << 33); print('taken')\nexcept OSError as error: print(error.errno)";
    let said = street.says(sparse)?;
    assert!(said.ends_with("28") || said.ends_with("27"), "{said}");
    let answer = street
        .native
        .client()
        .get(&format!("{}?stat=true", Native::file_url(&street.rogue, b"/root/sparse")))?;
    ensure!([200, 400].contains(&answer.status), "{answer}");
    street.native.shell(&street.rogue, "rm /root/sparse")?;
    let links = "import os\nopen('/root/a', 'w').close()\ntry:\n  for i in range(10**6): os.symlink('x' * 4000, f'/root/l{i}')\nexcept OSError as error: print(error.errno)";
    assert_eq!(street.says(links)?, "28");
    let stats = street.stats(&street.rogue)?;
    let taken = stats["disk_bytes"].as_u64().context("disk")?;
    assert!(taken <= DISK_BYTES + (16 << 20), "{stats}");
    street.native.shell(&street.rogue, "cd /root && find . -name 'l*' -delete")?;
    street.assert_usable();
    Ok(())
}

#[test]
fn background_output_without_end_and_a_thousand_execs_cost_the_server_a_bounded_log() -> Result<()> {
    let street = Street::new()?;
    let before = street.server.log().len();
    let exec = street.native.background(&street.rogue, &["yes", "a line that nobody reads"])?;
    // It is kept in the sandbox, in a bounded place, and the oldest is let go.
    let url = format!("/lazaret/v1/sandboxes/{}/execs", street.rogue);
    wait::until("more output than is kept", LIMIT, || {
        let list = street.native.client().get(&url).ok()?.expect(200);
        let row = list["execs"].as_array()?.iter().find(|row| row["id"] == json!(exec))?.clone();
        (row["oldest_offset"].as_u64()? > 0).then_some(())
    });
    let kept = street.native.client().delete(&format!("{url}/{exec}"))?;
    assert_eq!(kept.status, 204, "{kept}");
    // A line a request, however much the request's command prints.
    let runs = 40;
    for _ in 0..runs {
        let request = json!({ "command": ["sh", "-c", "seq 100000; seq 100000 >&2"] });
        street.native.exec_with(&street.rogue, &request)?;
    }
    let grown = street.server.log().len() - before;
    assert!(grown <= 2_048 * (runs + 60), "{grown} bytes of log for {runs} commands");
    street.assert_usable();
    let left = Traces::of_sandboxes(street.server.data_dir(), std::slice::from_ref(&street.rogue));
    assert!(left.processes.len() < 5, "{left}");
    Ok(())
}
