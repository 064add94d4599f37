//! What a person sees when something is not as it should be, and what programs get.

use crate::fake::{Fake, ID};
use crate::program::{command, finish, run};

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let fake = Fake::start().await;
    let want = "error: no server answers at http://127.0.0.1:1: connection refused\n\
                hint: start one with `lazaret serve`, or name another with --url or LAZARET_URL\n";
    for (args, code) in
        [(["ps", "--url", "http://127.0.0.1:1"], 1), (["run", "--url", "http://127.0.0.1:1"], 125)]
    {
        let outcome = run(&fake, &args).await;
        assert_eq!((outcome.code, outcome.stderr.as_str()), (code, want));
    }
}

#[tokio::test]
async fn a_key_that_is_refused_is_explained_by_where_it_came_from() {
    let fake = Fake::start().await;
    let outcome = finish(command(&fake, &["ps"]).env("LAZARET_API_KEY", "wrong").spawn().unwrap()).await;
    let want = "error: the key is not valid\n\
                hint: the key comes from --api-key or LAZARET_API_KEY; is it one of this server?\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, want));
    let outcome = finish(command(&fake, &["ps"]).env_remove("LAZARET_API_KEY").spawn().unwrap()).await;
    let want = "error: the key is not valid\nhint: the key is looked for in --api-key, LAZARET_API_KEY and \
                /nonexistent/api-key (which does not exist)\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, want));
}

#[tokio::test]
async fn text_of_the_server_cannot_drive_the_terminal() {
    let fake = Fake::start().await;
    let outcome = run(&fake, &["inspect", "nothing"]).await;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, "error: there is no \\u{1b}[31msuch thing\n"));
}

#[tokio::test]
async fn one_failure_among_several_does_not_hold_up_the_others() {
    let fake = Fake::start().await;
    let outcome = run(&fake, &["stop", "nothing", ID]).await;
    assert_eq!((outcome.code, outcome.stdout), (1, format!("{ID}\n").into_bytes()));
}

#[tokio::test]
async fn a_running_sandbox_is_deleted_only_by_force() {
    let fake = Fake::start().await;
    let outcome = run(&fake, &["rm", ID]).await;
    let want =
        format!("error: sandbox {ID} is running\nhint: `lazaret rm -f {ID}` deletes it all the same\n");
    assert_eq!((outcome.code, outcome.stderr), (1, want));
    assert_eq!(run(&fake, &["rm", "-f", "68a0-0001"]).await.code, 0);
    assert_eq!(fake.paths().pop(), Some(format!("DELETE sandboxes/{ID}")));
}

#[tokio::test]
async fn a_table_is_for_people_and_json_has_all_that_the_server_told() {
    let fake = Fake::start().await;
    let outcome = run(&fake, &["ps", "-q"]).await;
    assert_eq!(outcome.stdout, b"68a000010a0b\n");
    let outcome = run(&fake, &["ps", "--json"]).await;
    let document: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!(document.pointer("/sandboxes/0/added_later"), Some(&7.into()));
    assert_eq!(document.pointer("/sandboxes/0/network/type"), Some(&"disabled".into()));
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_is_refused_before_anything_is_asked() {
    let fake = Fake::start().await;
    for args in [
        &["cp", "box:x", "y"][..],
        &["run", "--rm", "-d", "true"],
        &["run", "--memory", "lots", "true"],
        &["exec", "box"],
        &["frobnicate"],
    ] {
        assert_eq!(run(&fake, args).await.code, 2, "{args:?}");
    }
    assert_eq!(fake.paths(), Vec::<String>::new());
}
