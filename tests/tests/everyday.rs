//! What people do as root every day, with the few capabilities that root has in a sandbox.

#![forbid(unsafe_code)]

use anyhow::Result;
use lazaret_tests::Server;
use serde_json::json;

/// Sends an echo request to loopback through a socket that needs no capability, and prints the type of the answer.
const PING: &str = "
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
s.settimeout(10)
s.connect(('127.0.0.1', 0))
s.send(struct.pack('>BBHHH', 8, 0, 0, 1, 1) + b'data')
print(s.recv(100)[0])
";

/// Builds a package with a file of another owner and a set-group-id folder, installs it and asks for it.
const PACKAGE: &str = "
set -e
mkdir -p /tmp/p/DEBIAN /tmp/p/opt/shared && chown daemon:staff /tmp/p/opt/shared && chmod 2775 /tmp/p/opt/shared
printf 'Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b.c>\\nDescription: d\\n' > /tmp/p/DEBIAN/control
printf '#!/bin/sh\\nid -u > /opt/ran-as\\n' > /tmp/p/DEBIAN/postinst && chmod 755 /tmp/p/DEBIAN/postinst
dpkg-deb --build /tmp/p /tmp/x.deb > /dev/null
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates && touch /var/lib/dpkg/status
dpkg --install /tmp/x.deb > /dev/null
dpkg --status x | grep ^Status; cat /opt/ran-as; stat -c '%U:%G %a' /opt/shared
";

#[test]
fn su_ping_packages_low_ports_and_daemons_work_with_few_capabilities() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({}))?;
    for (line, want) in [
        ("su -s /bin/sh nobody -c 'id -u'", "65534\n"),
        ("runuser -u user -- id -u", "1000\n"),
        ("chroot --userspec=daemon / id -u", "1\n"),
        ("setpriv --reuid user --clear-groups --bounding-set=-all id -u", "1000\n"),
        ("install -o daemon -g mail -m 2750 -d /tmp/d && stat -c '%U:%G %a' /tmp/d", "daemon:mail 2750\n"),
        (
            "setcap cap_net_bind_service+ep /tmp/d 2>/dev/null; umask 0; mkfifo /tmp/f && stat -c %F /tmp/f",
            "fifo\n",
        ),
    ] {
        assert_eq!(native.shell(&id, line)?, want, "{line}");
    }
    assert_eq!(native.exec(&id, &["python3", "-c", PING])?, "0\n", "an echo reply");
    let as_user = json!({ "command": ["python3", "-c", PING], "user": "user" });
    assert_eq!(native.exec_with(&id, &as_user)?["stdout"], "0\n", "for every user");
    let low = "import socket; s = socket.create_server(('127.0.0.1', 80)); print(s.getsockname()[1])";
    assert_eq!(native.exec(&id, &["python3", "-c", low])?, "80\n");
    // And nobody gets further than that: who is not root, cannot become root.
    let back = json!({ "command": ["su", "root", "-c", "id -u"], "user": "user" });
    assert_ne!(native.exec_with(&id, &back)?["stdout"], "0\n");
    if native.shell(&id, "command -v dpkg-deb || true")?.is_empty() {
        eprintln!("NOTICE: packages are left out: this host has no dpkg");
    } else {
        let said = native.shell(&id, PACKAGE)?;
        assert_eq!(said, "Status: install ok installed\n0\ndaemon:staff 2775\n");
    }
    Ok(())
}
