//! `weir subject access`: what is kept about a person, for them to read and to take elsewhere.
//!
//! A folder that nobody else can enter, with what [`Answer`] makes.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use weir_daemon::rights::{Answer, Question};

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

use super::bar::Bar;
use super::named::Named;
use super::{Ground, write};

/// Arguments of `weir subject access`.
#[derive(Debug, clap::Args)]
pub(crate) struct AccessArgs {
    #[command(flatten)]
    named: Named,
    /// Folder for the answer; it must be absent or empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Gathers and writes the answer.
///
/// # Errors
/// When a name cannot be one, the folder is not empty, or the lake cannot be read.
pub(super) fn access(global: &Global, args: &AccessArgs) -> Result<Exit, Failure> {
    let Ground { config, policy, keys } = Ground::of(global)?;
    let subject = args.named.subject(&keys)?;
    let lake = setup::lake(&config)?;
    let folder = &args.out;
    make_folder(folder).with_context(|| format!("cannot make {}", folder.display())).or_exit(Exit::CannotCreate)?;
    let region = &config.general.region;
    let question = Question { lake: &lake, policy: &policy, keys: &keys, region, now_ms: setup::now_ms() };
    let bar = Bar::start("reading");
    let answer = Answer::gather(&question, &subject, &|progress| bar.show(progress));
    bar.done();
    let answer = answer.map_err(setup::lake_failure)?;
    answer.tell(&lake, setup::now_ms()).map_err(setup::lake_failure)?;
    for made in answer.files() {
        let (name, bytes) = made.map_err(setup::lake_failure)?;
        let file = folder.join(name);
        let failed = || format!("cannot write {}", file.display());
        write(OpenOptions::new().create_new(true), &file, &bytes).with_context(failed).or_exit(Exit::CannotCreate)?;
    }
    let (tables, rows) = answer.counts();
    output::print(format_args!("{rows} rows of {tables} tables are in {}\n", folder.display()))?;
    setup::unless_skipped(answer.skipped())
}

/// Makes a folder that nobody else can enter, also of one that is there, which must be empty.
fn make_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.is_dir() {
        if fs::read_dir(folder)?.next().is_some() {
            return Err(anyhow!("it is not empty"));
        }
        #[cfg(unix)]
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    Ok(builder.recursive(true).create(folder)?)
}
