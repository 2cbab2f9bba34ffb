//! Developer commands: `cargo xtask test`, `attack`, `model`, `check`, `tidy`, `bench`, `count` and `up`.
//!
//! One tool, in the language of the tree, for everything a developer or CI does beyond plain cargo. Nothing here is
//! part of the product, and nothing of the product is used here: a broken crate must not take its test command down.
#![expect(clippy::disallowed_methods, reason = "a developer waits in real time")]

use std::process::ExitCode;

use anyhow::{Result, bail};

mod bench;
mod broker;
mod check;
mod count;
mod go;
mod guard;
mod jars;
mod machine;
mod model;
mod node;
mod process;
mod python;
mod report;
mod test;
mod tidy;
mod tools;
mod tree;
mod up;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::failure(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        report::line(HELP);
        return Ok(());
    };
    match command.as_str() {
        "attack" => {
            test::run(&["--", "--test", "whole", "--", "attack::", "producers::", "--nocapture"].map(str::to_owned))
        }
        "bench" => bench::run(rest),
        "check" => check::run(rest),
        "count" => count::run(rest),
        "model" => model::run(rest),
        "test" => test::run(rest),
        "tidy" => tidy::run(rest),
        "up" => up::run(rest),
        "guard" => guard::run(rest),
        "help" | "-h" | "--help" => {
            report::line(HELP);
            Ok(())
        }
        other => bail!("no such command: {other}\n\n{HELP}"),
    }
}

const HELP: &str = "\
cargo xtask test [--check] [--install] [STAGE…] [-- ARGS…]   run every test, real components included
    --check     run `cargo xtask check` beside the tests
    --install   install what this machine lacks (where there is apt)
    STAGE       only these crates, by the last part of their name: policy, keys, … (`weir` is the program itself)
    ARGS        passed to `cargo test`, such as a part of a test's name
cargo xtask attack                                 give attackers one of each lock, and print what each recovers
cargo xtask model                                  walk every order in which a withdrawal and a commit can meet
cargo xtask check                                  formatting, lints, tidy, documentation, dependencies
cargo xtask tidy [--bless]                         the rules of the house that no compiler checks
    --bless     first rewrite the list of types without Debug in ARCHITECTURE.md
cargo xtask bench [--events N] [--people N] [--rounds N]   print how fast weir is, as ratios
    --small     only see that it runs
cargo xtask bench scale [--records N]              the same with more event types, consents and dates
cargo xtask bench peers [--events N] [--rounds N]  build other programs for the same work, and compare
cargo xtask bench flow [EVENTS]                    events/s and memory from a real broker into committed tables
cargo xtask bench effect [EVENTS]                  how long withdrawals take to have their effect meanwhile
cargo xtask bench changes [CHANGES]                changes of consent in any order, while daemons and broker are killed
cargo xtask bench gate [BYTES]                     how fast objects come through the gate
cargo xtask count [--bless] [--install]            compare the filter's instructions with those that are committed
    --bless     commit to what is counted
cargo xtask up [--port PORT] [--data DIR] [--tls DIR]   start Apache Kafka, print its address, stay until ctrl-c
    --tls       take TLS only, with `broker.pem` there, from clients that have a certificate of `clients-ca.pem`

WEIR_TEST_KAFKA=HOST:PORT   use this broker instead of starting one
WEIR_TEST_HOME=DIR          where downloads, logs and the broker's data go (default: .weir-test)";
