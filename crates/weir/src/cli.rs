//! The command line: global flags, each with a twin in the environment, and the verbs.
//!
//! A verb is a file of the same name with its arguments, its help and one function that runs it; to add one, write the
//! file and name it here twice.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;
use weir_daemon::logging::{Color, LogFormat};

/// Lets through what was agreed, for the purpose it was agreed for, and nothing else.
#[derive(Debug, Parser)]
#[command(name = "weir", version, propagate_version = true, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Flags that every verb takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

impl Cli {
    /// Returns the log level: what `-q` and `-v` ask for, and for the demo, whose bar logs would break, errors only.
    pub(crate) fn level(&self) -> LevelFilter {
        let is_plain = self.global.quiet == 0 && self.global.verbose == 0;
        if is_plain && matches!(self.verb, Verb::Demo(_)) { LevelFilter::ERROR } else { self.global.level() }
    }
}

/// Flags that every verb takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Configuration file; several are merged, and a key that stands in two of them is a fault.
    #[arg(short, long, global = true, env = "WEIR_CONFIG", value_delimiter = ',', value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    /// Sets one configuration key, over what the files say.
    #[arg(long = "set", global = true, env = "WEIR_SET", value_delimiter = ';', value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Says less: once for errors only, twice for nothing.
    #[arg(short, long, global = true, env = "WEIR_QUIET", action = ArgAction::Count)]
    quiet: u8,
    /// Says more: once for debug, twice for everything.
    #[arg(short, long, global = true, env = "WEIR_VERBOSE", action = ArgAction::Count)]
    verbose: u8,
    /// Form of the log lines.
    #[arg(long, global = true, env = "WEIR_LOG_FORMAT", value_enum, default_value = "text", value_name = "FORMAT")]
    log_format: LogFormatArg,
    /// When to use colour.
    #[arg(long, global = true, env = "WEIR_COLOR", value_enum, default_value = "auto", value_name = "WHEN")]
    color: ColorArg,
}

impl Global {
    /// Returns the log level that `-q` and `-v` ask for.
    pub(crate) fn level(&self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (0, 0) => LevelFilter::INFO,
            (0, 1) => LevelFilter::DEBUG,
            (0, _) => LevelFilter::TRACE,
            (1, _) => LevelFilter::ERROR,
            (_, _) => LevelFilter::OFF,
        }
    }

    /// Returns the form of the log lines.
    pub(crate) fn log_format(&self) -> LogFormat {
        match self.log_format {
            LogFormatArg::Json => LogFormat::Json,
            LogFormatArg::Text => LogFormat::Text,
        }
    }

    /// Returns when to use colour.
    pub(crate) fn color(&self) -> Color {
        match self.color {
            ColorArg::Always => Color::Always,
            ColorArg::Auto => Color::Auto,
            ColorArg::Never => Color::Never,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormatArg {
    Json,
    Text,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ColorArg {
    Always,
    Auto,
    Never,
}

/// Form of what a verb prints on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For programs.
    Json,
    /// For people.
    Text,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Runs the pipeline: from Kafka, through the filter, into the lake.
    Run(crate::run::Args),
    /// Shows the whole path with nothing set up: a broker inside the process, invented events, a lake to query.
    Demo(crate::demo::Args),
    /// Filters CloudEvents, one a line, from files or standard input into the lake.
    Filter(crate::filter::Args),
    /// Checks configuration, contracts and purposes, and reports every fault at once.
    Validate(crate::validate::Args),
    /// Runs the contract tests that stand beside the contracts.
    Test(crate::test::Args),
    /// Says what becomes of one event, and of each of its fields, and why.
    Explain(crate::explain::Args),
    /// Proves offline that the lake accounts for every record, exactly once.
    Audit(crate::audit::Args),
    /// Takes and shows the decisions of people and tenants.
    #[command(subcommand)]
    Consent(crate::consent::ConsentVerb),
    /// Shows and erases what is kept about a person.
    #[command(subcommand)]
    Subject(crate::subject::SubjectVerb),
    /// Checks the receipts that people hold.
    #[command(subcommand)]
    Receipt(crate::receipt::ReceiptVerb),
    /// Serves the page on which people see what is collected about them, and decide.
    Portal(crate::portal::Args),
    /// Serves the lake to those who were granted a purpose, read-only, as if it were on S3.
    Gate(crate::gate::Args),
    /// Makes and keeps the key ring.
    #[command(subcommand)]
    Keys(crate::keys::Keys),
    /// Lists and tends the tables.
    #[command(subcommand)]
    Lake(crate::lake::LakeVerb),
    /// Looks at the records that could not be used.
    #[command(subcommand)]
    Quarantine(crate::quarantine::QuarantineVerb),
    /// Measures how fast this machine filters events of the contracts.
    Bench(crate::bench::Args),
    /// Prints the completions of a shell.
    Completions(crate::completions::Args),
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Names of keys are base64url, and what people and tenants are called is theirs to say: either may begin with a hyphen.
    #[test]
    fn names_may_begin_with_a_hyphen() {
        for line in [
            "weir keys destroy --sealing -dQ_7 --yes",
            "weir keys destroy --tenant -acme --yes",
            "weir consent show --tenant -acme --kind user --id -81",
            "weir subject access --tenant -acme --kind user --id -81 --out answer",
        ] {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|why| why.to_string()).unwrap_or_default());
        }
    }

    /// The help of every verb is golden: it is what people script against and what the documentation repeats.
    #[test]
    fn help_is_as_it_was() {
        let mut pages = String::new();
        add_page(&mut pages, Cli::command().mut_args(|arg| arg.hide_env_values(true)), "weir");
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/help.txt");
        if std::env::var_os("WEIR_BLESS").is_some() {
            std::fs::write(&golden, &pages).unwrap();
        }
        assert_eq!(std::fs::read_to_string(golden).unwrap(), pages, "run with WEIR_BLESS=1 to rewrite");
    }

    /// Adds the page of a command and those of the commands below it, which do not repeat the global flags.
    fn add_page(pages: &mut String, command: clap::Command, name: &str) {
        let mut command = command.bin_name(name).disable_help_subcommand(true).term_width(100);
        let below: Vec<_> = command.get_subcommands().cloned().collect();
        writeln!(pages, "$ {name} --help\n{}", command.render_help()).unwrap();
        for command in below {
            let name = format!("{name} {}", command.get_name());
            add_page(pages, command.mut_args(|arg| arg.hide_env_values(true)), &name);
        }
    }

    /// Every flag of ours can be set in the environment instead: containers have no command line to edit.
    #[test]
    fn every_global_flag_has_an_environment_twin() {
        let command = Cli::command();
        for arg in command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
            assert!(arg.get_env().is_some(), "{} has none", arg.get_id());
        }
    }
}
