//! What instructions ask for, in tables.

use std::collections::BTreeMap;

use super::stage::Known;
use super::*;
use crate::dockerfile::RunNetwork;
use crate::{Dockerfile, ImageConfig};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The actions of the last stage, on an image with a variable and a command, and what is configured in the end.
fn applied(text: &str, given: &[(&str, &str)]) -> Result<(Vec<Action>, ImageConfig), String> {
    let file = Dockerfile::parse(text).map_err(|error| error.to_string())?;
    let given = map(given);
    let plan = Plan::make(&file, &given, None).map_err(|error| error.to_string())?;
    let base = ImageConfig {
        env: vec![("PATH".to_owned(), "/bin".to_owned())],
        command: vec!["base".to_owned()],
        ..ImageConfig::default()
    };
    let mut state = StageState::new(base);
    let known = Known { file: &file, globals: &plan.globals, given: &given };
    let mut actions = Vec::new();
    for step in &file.stages[plan.stages.last().unwrap().index].steps {
        actions.push(state.apply(step, known).map_err(|error| error.to_string())?);
    }
    Ok((actions, state.config))
}

fn run_of(text: &str, given: &[(&str, &str)]) -> RunAction {
    let (actions, _) = applied(text, given).unwrap();
    match actions.last() {
        Some(Action::Run(run)) => run.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_stages_that_the_target_needs_are_planned() {
    let text = "ARG b=base\nFROM $b AS one\nFROM scratch AS two\nFROM one AS three\nCOPY --from=two / /\nFROM two\nCOPY --from=1 /a /b\n";
    let file = Dockerfile::parse(text).unwrap();
    let planned = |target: Option<&str>, given: &[(&str, &str)]| {
        let plan = Plan::make(&file, &map(given), target).unwrap();
        plan.stages.into_iter().map(|stage| (stage.index, stage.base)).collect::<Vec<_>>()
    };
    let image = |name: &str| Base::Image(name.to_owned());
    assert_eq!(planned(None, &[]), [(1, Base::Scratch), (3, Base::Stage(1))]);
    assert_eq!(
        planned(Some("THREE"), &[("b", "other:1")]),
        [(0, image("other:1")), (1, Base::Scratch), (2, Base::Stage(0)),]
    );
    assert_eq!(planned(Some("0"), &[]), [(0, image("base"))]);
    let unused =
        Plan::make(&file, &map(&[("b", "x"), ("c", "y"), ("HTTP_PROXY", "z")]), None).unwrap().unused;
    assert_eq!(unused, ["c"]);
    for (text, target, want) in [
        ("FROM a", Some("x"), "line 1: there is no stage x"),
        ("FROM --platform=plan9/mips a", None, "line 1: --platform=plan9/mips: this machine builds linux/"),
        ("ARG b\n\nFROM $b", None, "line 3: the name of the base is empty"),
        ("FROM ${b:?missing}", None, "line 1: b: missing"),
    ] {
        let error = Plan::make(&Dockerfile::parse(text).unwrap(), &BTreeMap::new(), target).unwrap_err();
        assert!(error.to_string().starts_with(want), "{error}");
    }
    let here = "FROM --platform=$BUILDPLATFORM a AS b\nFROM --platform=${TARGETPLATFORM} b";
    assert_eq!(
        Plan::make(&Dockerfile::parse(here).unwrap(), &BTreeMap::new(), None).unwrap().stages.len(),
        2
    );
}

#[test]
fn arguments_and_variables_reach_what_runs_and_proxies_are_no_part_of_the_result() {
    let text = "ARG g=global\nFROM a\nARG g\nARG v=1\nARG x\nENV v=$v-env PATH=/x:$PATH g2=$g\nRUN a";
    let run = run_of(text, &[("x", "given"), ("HTTPS_PROXY", "http://user:secret@proxy")]);
    let want = [
        ("PATH", "/x:/bin"),
        ("v", "1-env"),
        ("g", "global"),
        ("g2", "global"),
        ("x", "given"),
        ("HTTPS_PROXY", "http://user:secret@proxy"),
    ];
    assert_eq!(run.env, map(&want));
    assert!(run.depends_on.contains("x=given\0") && !run.depends_on.contains("secret"), "{}", run.depends_on);
    // One ENV sees what was before it, not itself.
    let (_, config) = applied("FROM a\nENV a=1\nENV a=2 b=$a", &[]).unwrap();
    assert_eq!(config.env[1..], [("a".to_owned(), "2".to_owned()), ("b".to_owned(), "1".to_owned())]);
    assert_eq!(run_of("FROM a\nARG v=1\nRUN a", &[("v", "2")]).env["v"], "2");
    assert_eq!(run_of("FROM a\nARG v\nRUN a", &[]).env.get("v"), None);
}

#[test]
fn commands_run_in_their_shell_or_as_they_are() {
    for (body, want, script) in [
        ("RUN a && b", vec!["/bin/sh", "-c", "a && b"], None),
        ("RUN [\"a\", \"$b\"]", vec!["a", "$b"], None),
        ("SHELL [\"/bin/bash\", \"-ec\"]\nRUN a", vec!["/bin/bash", "-ec", "a"], None),
        ("RUN <<EOF\na\nb $x\nEOF", vec!["/bin/sh", "-c", "a\nb $x\n"], None),
        ("RUN cat <<A >x\n1\nA", vec!["/bin/sh", "-c", "cat <<A >x\n1\nA\n"], None),
        (
            "RUN <<EOF\n#!/usr/bin/env  python3\nprint(1)\nEOF",
            vec!["/usr/bin/env", "python3"],
            Some("#!/usr/bin/env  python3\nprint(1)\n"),
        ),
    ] {
        let run = run_of(&format!("FROM a\n{body}"), &[]);
        assert_eq!(
            (run.command, run.script.as_deref()),
            (want.into_iter().map(str::to_owned).collect(), script),
            "{body}"
        );
    }
    assert_eq!(run_of("FROM a\nRUN --network=none a", &[]).network, RunNetwork::None);
}

#[test]
fn what_is_configured_is_the_last_word_of_each_instruction() {
    let text = "FROM a\nWORKDIR srv\nWORKDIR app/../$d\nUSER u:g\nEXPOSE 80 7000-7001/UDP\nLABEL a=b \"c d\"=e\n\
                VOLUME /v [\nVOLUME /v\nSTOPSIGNAL SIGINT\nENTRYPOINT [\"/e\"]\nHEALTHCHECK NONE";
    let (actions, config) = applied(text, &[]).unwrap();
    assert_eq!(actions[..2], ["/srv", "/srv"].map(|path| Action::MakeDirectory(path.to_owned())));
    assert_eq!(config.working_dir.as_deref(), Some("/srv"));
    assert_eq!(config.user.as_deref(), Some("u:g"));
    assert_eq!(config.exposed_ports.iter().collect::<Vec<_>>(), ["7000/udp", "7001/udp", "80/tcp"]);
    assert_eq!(config.labels, map(&[("a", "b"), ("c d", "e")]));
    assert_eq!(config.volumes, ["/v", "["]);
    assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
    // The base's command was for the base's entrypoint; the stage's own stays.
    assert_eq!((config.entrypoint, config.command), (vec!["/e".to_owned()], vec![]));
    let (_, own) = applied("FROM a\nCMD [\"c\"]\nENTRYPOINT e", &[]).unwrap();
    assert_eq!(own.command, ["c"]);
    assert_eq!(own.entrypoint, ["/bin/sh", "-c", "e"]);
}

#[test]
fn copies_name_their_sources_and_destination() {
    let copy = |body: &str| match applied(&format!("FROM a\nENV d=dir\nWORKDIR /srv\n{body}"), &[])
        .map(|(mut actions, _)| actions.pop())
    {
        Ok(Some(Action::Copy(copy))) => Ok(copy),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    let plain = copy("COPY ./$d/*.txt x").unwrap();
    assert_eq!(
        (plain.sources, plain.destination, plain.into_directory),
        (vec!["dir/*.txt".to_owned()], "/srv/x".to_owned(), false)
    );
    let into = copy("COPY a /b ./").unwrap();
    assert_eq!(
        (into.sources, into.destination, into.into_directory),
        (vec!["a".to_owned(), "b".to_owned()], "/srv".to_owned(), true)
    );
    let from = copy("COPY --from=x --chown=$d:1 --chmod=0750 ../../a /b").unwrap();
    assert_eq!(
        (from.sources, from.owner.as_deref(), from.mode),
        (vec!["a".to_owned()], Some("dir:1"), Some(0o750))
    );
    let text = copy("COPY <<a.txt /b\n$d '$d'\na.txt").unwrap();
    assert_eq!(text.texts, [StageText { name: "a.txt".to_owned(), text: "dir 'dir'\n".to_owned() }]);
    for (body, want) in [
        ("COPY ../a b", "line 4: ../a leaves the context"),
        ("COPY --chmod=u+x a b", "line 4: --chmod=u+x: only octal modes are known"),
        ("COPY --chown=:1 a b", "line 4: --chown must be a user, or a user and a group"),
        ("COPY $e a", "line 4: a source is not a path"),
    ] {
        assert_eq!(copy(body).map(drop), Err(want.to_owned()), "{body}");
    }
    assert_eq!(copy("COPY . a").unwrap().sources, [""]);
}

#[test]
fn what_makes_no_sense_by_its_turn_is_refused_by_its_line() {
    for (body, want) in [
        ("EXPOSE 0", "line 2: 0 is not a port, or a range of ports, of tcp, udp or sctp"),
        ("EXPOSE 1-65000", "line 2: more than 1024 ports"),
        ("STOPSIGNAL now", "line 2: now is no signal"),
        ("ENV a=${b:?missing}", "line 2: b: missing"),
        ("USER $nobody", "line 2: user: is not a user name or id"),
        ("LABEL a=\"b", "line 2: a \" has no end"),
    ] {
        assert_eq!(applied(&format!("FROM a\n{body}"), &[]).map(drop), Err(want.to_owned()), "{body}");
    }
    let doubling = format!("FROM a\nENV v=xxxxxxxx\n{}", "ENV v=$v$v\n".repeat(60));
    let error = applied(&doubling, &[]).map(drop).unwrap_err();
    assert!(error.ends_with("what it means is longer than 131071 bytes"), "{error}");
}
