//! What Dockerfiles mean, in tables.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Dockerfile {
    Dockerfile::parse(text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

/// The instructions of a file with one stage.
fn steps(body: &str) -> Vec<Instruction> {
    let file = parsed(&format!("FROM a\n{body}\n"));
    file.stages[0].steps.iter().map(|step| step.instruction.clone()).collect()
}

fn shell(text: &str) -> Instruction {
    let command = Command::Shell(text.to_owned());
    Instruction::Run { command, heredocs: Vec::new(), network: RunNetwork::Default }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn lines_are_joined_and_comments_between_them_are_dropped() {
    for (body, want) in [
        ("RUN a \\\n  b", "a   b"),
        ("RUN a \\  \n# no\n\n b", "a  b"),
        ("  run a", "a"),
        ("RUN a \\\\\nRUN b", "a \\\\"),
        ("RUN a\\", "a"),
        ("RUN a \\\r\n b\r", "a  b"),
        ("RUN echo '# not a comment'", "echo '# not a comment'"),
        ("RUN\ta", "a"),
    ] {
        assert_eq!(steps(body)[0], shell(want), "{body:?}");
    }
    let file =
        parsed("# syntax=docker/dockerfile:1.7\n# escape=`\n#check=skip=all\nFROM a\nRUN a ` \n b\\\nRUN c");
    assert_eq!(file.escape, '`');
    let texts: Vec<&str> = file.stages[0].steps.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(texts, ["RUN a  b\\", "RUN c"]);
    assert_eq!(file.stages[0].steps[1].line, 7);
}

#[test]
fn heredocs_belong_to_the_instruction_before_them() {
    let heredoc = |name: &str, expands: bool, text: &str| Heredoc {
        name: name.to_owned(),
        expands,
        text: text.to_owned(),
    };
    let run = |text: &str, heredocs: Vec<Heredoc>| Instruction::Run {
        command: Command::Shell(text.to_owned()),
        heredocs,
        network: RunNetwork::Default,
    };
    for (body, want) in [
        ("RUN <<EOF\nFROM x\n# kept\n\nEOF", run("<<EOF", vec![heredoc("EOF", true, "FROM x\n# kept\n\n")])),
        (
            "RUN cat <<A >a && cat 3<<-\"B\" >b\none\nA\n\ttwo\n\tB",
            run(
                "cat <<A >a && cat 3<<-\"B\" >b",
                vec![heredoc("A", true, "one\n"), heredoc("B", false, "two\n")],
            ),
        ),
        ("RUN cat <<< here && a $((1<<2)) << b '<<c'", shell("cat <<< here && a $((1<<2)) << b '<<c'")),
    ] {
        assert_eq!(steps(body), [want], "{body}");
    }
    let [Instruction::Copy(copy)] = &steps("COPY <<a.txt b <<'c.sh' /to/\n$x\na.txt\n$y\nc.sh")[..] else {
        panic!("one COPY")
    };
    let text = |name: &str, expands, text: &str| TransferSource::Text(heredoc(name, expands, text));
    let path = TransferSource::Path("b".to_owned());
    assert_eq!(copy.sources, [text("a.txt", true, "$x\n"), path, text("c.sh", false, "$y\n")]);
    // Other instructions have none.
    assert_eq!(steps("ENV a=<<EOF\nENV b=c").len(), 2);
}

#[test]
fn each_instruction_is_read_in_its_forms() {
    let exec = |words: &[&str]| Command::Exec(owned(words));
    for (body, want) in [
        ("CMD [\"a\", \"b c\"]", Instruction::Cmd(exec(&["a", "b c"]))),
        ("CMD [ a ] || b", Instruction::Cmd(Command::Shell("[ a ] || b".to_owned()))),
        ("ENTRYPOINT a b", Instruction::Entrypoint(Command::Shell("a b".to_owned()))),
        (
            "ENV a=1 b=\"2 3\" c=4\\ 5",
            Instruction::Env(named(&[("a", "1"), ("b", "\"2 3\""), ("c", "4\\ 5")])),
        ),
        ("ENV a  b c=d ", Instruction::Env(named(&[("a", "b c=d")]))),
        ("LABEL \"a b\"=c d=", Instruction::Label(named(&[("\"a b\"", "c"), ("d", "")]))),
        (
            "ARG a b=c d=",
            Instruction::Arg(vec![
                ("a".to_owned(), None),
                ("b".to_owned(), Some("c".to_owned())),
                ("d".to_owned(), Some(String::new())),
            ]),
        ),
        ("WORKDIR /a b", Instruction::Workdir("/a b".to_owned())),
        ("USER a:b", Instruction::User("a:b".to_owned())),
        ("EXPOSE 80 443/tcp", Instruction::Expose(owned(&["80", "443/tcp"]))),
        ("VOLUME /a /b", Instruction::Volume(owned(&["/a", "/b"]))),
        ("VOLUME [\"/a b\"]", Instruction::Volume(owned(&["/a b"]))),
        ("SHELL [\"/bin/ash\", \"-c\"]", Instruction::Shell(owned(&["/bin/ash", "-c"]))),
        ("STOPSIGNAL SIGTERM", Instruction::Stopsignal("SIGTERM".to_owned())),
        ("HEALTHCHECK NONE", Instruction::Healthcheck(Healthcheck::Disabled)),
    ] {
        assert_eq!(steps(body), [want], "{body}");
    }
    let [Instruction::Add(add)] = &steps("ADD --chown=1:2 --chmod=0644 --link [\"a b\", \"/to\"]")[..] else {
        panic!("one ADD")
    };
    assert_eq!(add.sources, [TransferSource::Path("a b".to_owned())]);
    assert_eq!((add.owner.as_deref(), add.mode.as_deref()), (Some("1:2"), Some("0644")));
}

#[test]
fn stages_are_found_by_name_and_by_number_among_the_earlier_ones() {
    let file = parsed("ARG v=1\nFROM --platform=linux/amd64 a:$v AS One\nRUN x\nFROM one\nFROM b as two\n");
    assert_eq!(file.arguments[0].default.as_deref(), Some("1"));
    assert_eq!(file.stages[0].platform.as_deref(), Some("linux/amd64"));
    assert_eq!((file.stages[0].line, file.stages[1].line), (2, 4));
    assert_eq!(file.stage_before(2, "ONE"), Some(0));
    assert_eq!(file.stage_before(2, "1"), Some(1));
    for (before, name) in [(2, "two"), (2, "2"), (0, "one"), (2, "three")] {
        assert_eq!(file.stage_before(before, name), None, "{name}");
    }
}

#[test]
fn what_is_outside_the_subset_is_refused_by_its_line() {
    for (text, want) in [
        ("", "line 1: there is no FROM"),
        ("RUN a", "line 1: only ARG may stand before the first FROM"),
        ("FROM a\n\nRUN --mount=type=cache,target=/x y", "line 3: RUN --mount is outside the subset"),
        ("FROM a\nRUN --network=host y", "line 2: RUN --network must be default or none"),
        ("FROM a\nCOPY --parents a b", "line 2: COPY --parents is outside the subset"),
        ("FROM a\nADD --from=x a b", "line 2: ADD --from is outside the subset"),
        (
            "FROM a\nADD https://example.com/x /y",
            "line 2: ADD of https://example.com/x is outside the subset: nothing is fetched",
        ),
        (
            "FROM a\n# x\nONBUILD RUN b",
            "line 3: ONBUILD is outside the subset: no image here is a base that acts later",
        ),
        ("FROM a\nMAINTAINER me", "line 2: MAINTAINER is outside the subset: use LABEL maintainer=..."),
        ("FROM a\nCROSS x", "line 2: CROSS is no instruction"),
        ("FROM a\nRUN", "line 2: RUN needs something behind it"),
        ("FROM a\nRUN []", "line 2: RUN needs a command"),
        ("FROM a\nCOPY a", "line 2: COPY needs a source and a destination"),
        ("FROM a\nCOPY a b c", "line 2: COPY of several sources needs a destination that ends with /"),
        ("FROM a\nENV a", "line 2: ENV needs a name and a value"),
        ("FROM a\nENV a=1 b", "line 2: ENV: b is not name=value"),
        ("FROM a\nARG 1a=2", "line 2: ARG: 1a is not a name"),
        ("FROM a\nSHELL /bin/sh", "line 2: SHELL needs a JSON array of strings"),
        ("FROM a\nCMD --x y", "line 2: CMD takes no --x"),
        ("FROM a\nHEALTHCHECK --interval=0s CMD a", "line 2: --interval must be from 1ms to 24h"),
        ("FROM a\nRUN <<EOF\nb\n", "line 2: the heredoc EOF has no end"),
        ("FROM a\nRUN a\0b", "line 2: has a NUL byte"),
        ("FROM a b", "line 1: FROM needs an image, and may have AS and a name"),
        ("FROM a AS 1", "line 1: 1 cannot name a stage: a letter, then letters, digits, - _ ."),
        ("FROM a AS x\nFROM b AS X", "line 2: there is a stage X already"),
        ("FROM --x=y a", "line 1: FROM --x is outside the subset"),
        (
            "# syntax=example.com/other:1\nFROM a",
            "line 1: the syntax example.com/other:1 is outside the subset: no other builder is fetched",
        ),
        ("# escape=x\nFROM a", "line 1: escape must be \\ or `"),
        ("# escape=`\n# escape=`\nFROM a", "line 2: the directive escape is there twice"),
    ] {
        let error = Dockerfile::parse(text).map_err(|error| error.to_string());
        assert_eq!(error.map(|_| ()), Err(want.to_owned()), "{text}");
    }
    let long = format!("FROM a\n{}", "RUN b\n".repeat(limits::BUILD_STEPS_MAX));
    let line = Dockerfile::parse(&long).map_err(|error| error.line);
    assert_eq!(line.map(|_| ()), Err(limits::BUILD_STEPS_MAX + 1));
    let large = Dockerfile::parse(&" ".repeat(limits::DOCKERFILE_MAX_BYTES + 1)).map_err(|error| error.line);
    assert_eq!(large.map(|_| ()), Err(1));
}

#[test]
fn words_are_expanded_as_a_shell_would() {
    let variables: BTreeMap<String, String> =
        named(&[("a", "one"), ("empty", ""), ("path", "/usr/lib/x.tar.gz"), ("_1", "u")])
            .into_iter()
            .collect();
    for (word, want) in [
        ("$a-${a}-$b.", Ok("one-one-.")),
        ("$_1$", Ok("u$")),
        ("\\$a '$a' \"$a \\\"\\x\"", Ok("$a $a one \"\\x")),
        ("a\\ b", Ok("a b")),
        ("${b:-x$a} ${b-y} ${empty:-z}${empty-w}", Ok("xone y z")),
        ("${a:+x}${b:+y}${empty:+z}${empty+w}", Ok("xw")),
        ("${b:-${c:-'a b'}}", Ok("a b")),
        ("${a:?no}", Ok("one")),
        ("${b:?no such}", Err("b: no such")),
        ("${b?}", Err("b: is not set")),
        ("${path#*/} ${path##*/}", Ok("usr/lib/x.tar.gz x.tar.gz")),
        ("${path%.*} ${path%%.*}", Ok("/usr/lib/x.tar /usr/lib/x")),
        ("${path/\\//_} ${path//\\//_}", Ok("_usr/lib/x.tar.gz _usr_lib_x.tar.gz")),
        ("${path/l?b/L} ${a//n*/}", Ok("/usr/L/x.tar.gz o")),
        ("${path#\\*}", Ok("/usr/lib/x.tar.gz")),
        ("${a", Err("${a has no }")),
        ("${a:-b", Err("a ${ has no }")),
        ("${}", Err("a ${ has no name")),
        ("${a!}", Err("${a! is not known")),
        ("'a", Err("a ' has no end")),
        ("\"a", Err("a \" has no end")),
        ("", Ok("")),
    ] {
        let want = want.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(expand(word, &variables, '\\'), want, "{word}");
    }
    assert_eq!(expand("`$a", &variables, '`'), Ok("$a".to_owned()));
    let heredoc = expand_text("'$a' \"\\$a\" \\n \\\\", &variables, '\\');
    assert_eq!(heredoc, Ok("'one' \"$a\" \\n \\".to_owned()));
}

#[test]
fn words_that_grow_or_compare_without_end_are_refused() {
    let big = "x".repeat(limits::EXEC_ARG_MAX_BYTES / 2);
    let variables = BTreeMap::from([("a".to_owned(), big)]);
    let longer = format!("what it means is longer than {} bytes", limits::EXEC_ARG_MAX_BYTES);
    assert_eq!(expand("$a$a$a", &variables, '\\'), Err(longer.clone()));
    assert_eq!(expand("\"$a$a$a\"", &variables, '\\'), Err(longer));
    let slow = "its patterns take too long to compare".to_owned();
    assert_eq!(expand("${a//*y*y*/}", &variables, '\\'), Err(slow));
    let deep = format!("{}{}", "${b:-".repeat(40), "}".repeat(40));
    assert_eq!(expand(&deep, &variables, '\\'), Err("variables are nested too deeply".to_owned()));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_fail_otherwise_than_by_an_existing_line(
        body in "(FROM a\n)?((RUN|COPY|ADD|ENV|ARG|LABEL|CMD|SHELL|HEALTHCHECK|#|<<E|E|\\\\|`|\"|'|\\[|\\]|--|=| |\t|\n|\r|[a-z$]){0,12}\n){0,8}",
    ) {
        match Dockerfile::parse(&body) {
            Ok(file) => {
                let lines = body.split('\n').count();
                prop_assert!(file.stages.iter().flat_map(|stage| &stage.steps).all(|step| (1..=lines).contains(&step.line)));
            }
            Err(error) => prop_assert!((1..=body.split('\n').count()).contains(&error.line)),
        }
    }

    #[test]
    fn a_word_without_special_characters_means_itself(word in "[a-zA-Z0-9/._:@=-]{0,40}") {
        prop_assert_eq!(expand(&word, &BTreeMap::new(), '\\'), Ok(word));
    }

    #[test]
    fn expansion_ends_for_any_word(word in "[a-z$\\{\\}:+?#%/*'\"\\\\-]{0,40}", value in "[a-z/*]{0,20}") {
        let variables = BTreeMap::from([("a".to_owned(), value)]);
        let _ends = expand(&word, &variables, '\\');
        let _ends = expand_text(&word, &variables, '\\');
    }
}
