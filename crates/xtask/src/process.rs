//! Other programs: run one to its end, and say what it said if it failed.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a program without input and shows its output only if it fails.
pub(crate) fn quietly(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("could not start {}", name(command)))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complained = String::from_utf8_lossy(&output.stderr);
    bail!("{} failed ({}):\n{}{}", name(command), output.status, tail(&said), tail(&complained))
}

/// Runs a program without input that speaks for itself.
pub(crate) fn loudly(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("could not start {}", name(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Returns the last lines of a log: where the cause of a failure mostly stands.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines.into_iter().skip(from).flat_map(|line| [line, "\n"]).collect()
}

/// Returns the command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    [command.get_program().to_string_lossy()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// A Java stack trace with two causes fits.
const TAIL_LINES: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_carries_what_the_program_said() {
        let error =
            quietly(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).expect_err("exits with 3");
        let text = error.to_string();
        assert!(text.contains("out\n") && text.contains("err\n"), "{text}");
    }
}
