//! Any text as a Dockerfile and as a `.dockerignore`.
//!
//! Whatever it says, reading it ends, an error names a line that is there, and what is planned are stages of the file in
//! their order.
//!
//! Dockerfiles are good seeds. Run from this folder on a stable compiler with
//! `cargo run --release --bin dockerfile -- -max_total_time=60 -max_len=4096 corpus`, or with the address sanitizer by
//! `cargo +nightly fuzz run dockerfile`.
#![no_main]

use std::collections::BTreeMap;

use lazaret_core::{Base, Dockerfile, Dockerignore, Plan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let lines = text.split('\n').count();
    match Dockerfile::parse(text) {
        Err(error) => assert!((1..=lines).contains(&error.line), "{error}"),
        Ok(file) => {
            let given = BTreeMap::from([("a".to_owned(), "${a}$b".to_owned())]);
            match Plan::make(&file, &given, None) {
                Err(error) => assert!((1..=lines).contains(&error.line), "{error}"),
                Ok(plan) => {
                    assert!(plan.stages.is_sorted_by(|one, next| one.index < next.index));
                    for stage in &plan.stages {
                        assert!(file.stages[stage.index].steps.iter().all(|step| (1..=lines).contains(&step.line)));
                        assert!(!matches!(stage.base, Base::Stage(base) if base >= stage.index));
                    }
                }
            }
        }
    }
    if let Ok(ignore) = Dockerignore::parse(text) {
        let _either = ignore.excludes(&["src", "a.log"]);
    }
});
