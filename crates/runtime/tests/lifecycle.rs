//! temp
mod support;
use lazaret_core::ports::Runtime as _;
use support::Host;
#[tokio::test]
async fn spike() {
    let host = Host::new();
    let spec = host.running().await;
    println!("{}", host.shell(spec.id, "id; cat /proc/self/mountinfo; ls -la / /dev /proc/1/ /proc/1/fd /proc/1/exe; cat /proc/1/environ; cat /proc/self/status | grep -E 'Cap|NoNew|Seccomp'; hostname; cat /etc/hosts; ls -R /sys | head -20; ls /proc/self/fd -la; echo x > /usr/foo; echo y > /foo; ls -la /usr/foo; df; cat /proc/self/cgroup; ip a; cat /proc/kcore | wc -c; cat /proc/net/unix; ulimit -a; python3 -c 'print(6*7)'; nproc; free -m; ps aux").await);
    for _ in 0..20 {
        let t = std::time::Instant::now();
        let s = host.spec();
        host.runtime().create(&s).await.unwrap();
        let c = t.elapsed();
        host.runtime().start(&s).await.unwrap();
        let d = t.elapsed();
        host.shell(s.id, "ping").await;
        let e = t.elapsed();
        host.runtime().delete(s.id).await.unwrap();
        println!("create {:?} start {:?} ping {:?} delete {:?}", c, d - c, e - d, t.elapsed() - e);
    }
    println!("{:?}", host.runtime().usage(spec.id).await);
    host.runtime().delete(spec.id).await.unwrap();
}
