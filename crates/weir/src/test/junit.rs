//! The report that CI systems read: `JUnit`'s XML, the part of it that all of them know.

use std::fmt::Write as _;

use super::{Difference, Run, details};

/// Writes a run as XML: a suite for each file, a test case for each case.
pub(crate) fn report(run: &Run) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let cases = run.cases().count();
    element(&mut xml, format_args!("<testsuites name=\"weir\" tests=\"{cases}\" failures=\"{}\">", run.failed()));
    for (suite, outcomes) in &run.suites {
        let name = escaped(&suite.source.name().to_string_lossy());
        let failed = outcomes.iter().filter(|differences| !differences.is_empty()).count();
        let tests = outcomes.len();
        element(&mut xml, format_args!("  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failed}\">"));
        for (case, differences) in suite.cases.iter().zip(outcomes) {
            let line = case.place.line_column().0;
            let head = format!("name=\"{}\" classname=\"{name}\" file=\"{name}\" line=\"{line}\"", escaped(&case.name));
            test_case(&mut xml, &head, differences);
        }
        element(&mut xml, format_args!("  </testsuite>"));
    }
    xml + "</testsuites>\n"
}

fn test_case(xml: &mut String, head: &str, differences: &[Difference]) {
    if differences.is_empty() {
        return element(xml, format_args!("    <testcase {head}/>"));
    }
    let message = format!("{} not as expected", differences.len());
    let details = escaped(&details(differences));
    element(xml, format_args!("    <testcase {head}>\n      <failure message=\"{message}\">{details}</failure>"));
    element(xml, format_args!("    </testcase>"));
}

fn element(xml: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(xml, "{line}").expect("a String takes all");
}

/// Replaces what XML gives a meaning to, and drops the control characters that it forbids.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(letter),
            control if control.is_control() => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out_of_its_element() {
        assert_eq!(escaped("a < \"b\" & \u{1b}c\n"), "a &lt; &quot;b&quot; &amp; c\n");
    }
}
