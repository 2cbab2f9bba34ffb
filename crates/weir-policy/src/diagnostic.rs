//! Faults in files that people write: where, what, why, and how to mend it.
//!
//! Readers never stop at the first fault: they add each to a [`Faults`] and go on with what is sound, so that one run
//! shows everything. `weir validate`, `weir run` and the tests print them through [`render`] only.

use std::cell::RefCell;
use std::fmt;
use std::ops;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

/// A file as it was read, for messages that quote it.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    name: PathBuf,
    text: String,
}

impl Source {
    /// Returns a source of this name (as the user wrote it) and text.
    pub fn new(name: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }

    /// Returns the name.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A stretch of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    source: Arc<Source>,
    span: ops::Range<usize>,
}

impl Place {
    /// Returns the stretch `span` (in bytes) of `source`, cut to what the source has.
    pub fn new(source: &Arc<Source>, span: ops::Range<usize>) -> Self {
        let end = span.end.min(source.text.len());
        Self { source: Arc::clone(source), span: span.start.min(end)..end }
    }

    /// Returns the place of a source as a whole: its start.
    pub fn start_of(source: &Arc<Source>) -> Self {
        Self::new(source, 0..0)
    }

    /// Returns the place of a part of `text`, if that stands here as it is (quoted, no escapes); else the whole.
    #[must_use]
    pub fn part(&self, text: &str, part: ops::Range<usize>) -> Self {
        match self.text().find(text) {
            Some(at) => {
                let start = self.span.start + at;
                Self::new(&self.source, start + part.start..start + part.end)
            }
            None => self.clone(),
        }
    }

    /// Returns the name of the source.
    pub fn file(&self) -> &Path {
        &self.source.name
    }

    /// Returns the text that is meant.
    pub fn text(&self) -> &str {
        self.source.text.get(self.span.clone()).unwrap_or_default()
    }

    /// Returns line and column of the start, both from 1; columns count characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// Returns the stretch, in bytes.
    pub fn span(&self) -> ops::Range<usize> {
        self.span.clone()
    }
}

/// Writes `file:line:column`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.source.name.display())
    }
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// What was read cannot be used.
    Error,
    /// It can be used, and probably should not.
    Warning,
}

/// One fault or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Its name in tests, reports and documentation: `unknown_key`.
    pub code: &'static str,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What stands under the underlined text.
    pub label: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// Another place that has to do with it, and how.
    pub related: Option<(Place, String)>,
}

impl Diagnostic {
    /// Returns a fault at `place`.
    pub fn error(place: &Place, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            place: place.clone(),
            label: String::new(),
            hint: None,
            related: None,
        }
    }

    /// Returns a warning at `place`.
    pub fn warning(place: &Place, code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, code, message) }
    }

    /// Adds what stands under the underlined text.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds another place that has to do with it.
    #[must_use]
    pub fn related(self, place: &Place, label: impl Into<String>) -> Self {
        Self { related: Some((place.clone(), label.into())), ..self }
    }
}

/// Writes `file:line:column: error[code]: message`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {severity}[{}]: {}", self.place, self.code, self.message)
    }
}

/// Collects what readers find wrong; shared by all that read one set of files.
#[derive(Debug, Default)]
pub struct Faults {
    found: RefCell<Vec<Diagnostic>>,
}

impl Faults {
    /// Adds a fault or a warning.
    pub fn add(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    /// Returns how many errors (not warnings) were added.
    pub fn errors(&self) -> usize {
        self.found.borrow().iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// Tells whether a fault was added at this very place.
    pub fn errors_at(&self, place: &Place) -> bool {
        self.found.borrow().iter().any(|found| found.severity == Severity::Error && found.place == *place)
    }

    /// Returns `value` and the warnings if no error was added, or else the report of all.
    ///
    /// # Errors
    /// Everything that was added, in the order of files and lines, if there is an error among it.
    pub fn into_result<T>(self, value: Option<T>) -> Result<(T, Vec<Diagnostic>), Report> {
        let errors = self.errors();
        let mut found = self.found.into_inner();
        found.sort_by(|one, other| {
            let key = |found: &Diagnostic| (found.place.source.name.clone(), found.place.span.start);
            key(one).cmp(&key(other))
        });
        match value {
            Some(value) if errors == 0 => Ok((value, found)),
            _ => Err(Report { diagnostics: found }),
        }
    }
}

/// Everything that is wrong with a set of files; the caller's exit code is 78.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// Faults and warnings, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
}

/// Writes the report without colour.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(&self.diagnostics, Look::Plain))
    }
}

impl std::error::Error for Report {}

/// Whether a rendering may use terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// With ANSI escapes.
    Coloured,
    /// Text only.
    Plain,
}

/// Renders diagnostics as rustc does: message, place, the underlined text, a hint; then their number.
pub fn render(diagnostics: &[Diagnostic], look: Look) -> String {
    let renderer = match look {
        Look::Coloured => Renderer::styled(),
        Look::Plain => Renderer::plain(),
    };
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&[group(diagnostic)]));
        text.push_str("\n\n");
    }
    text + &summary(diagnostics)
}

fn group(diagnostic: &Diagnostic) -> Group<'_> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&*diagnostic.message).id(diagnostic.code);
    let primary = AnnotationKind::Primary.span(diagnostic.place.span()).label(&*diagnostic.label);
    let mut snippet = snippet(&diagnostic.place, primary);
    let mut elsewhere = None;
    if let Some((place, label)) = &diagnostic.related {
        let annotation = AnnotationKind::Context.span(place.span()).label(&**label);
        if place.source == diagnostic.place.source {
            snippet = snippet.annotation(annotation);
        } else {
            elsewhere = Some(self::snippet(place, annotation));
        }
    }
    let mut group = title.element(snippet);
    if let Some(elsewhere) = elsewhere {
        group = group.element(elsewhere);
    }
    match &diagnostic.hint {
        Some(hint) => group.element(Level::HELP.message(&**hint)),
        None => group,
    }
}

fn snippet<'d>(place: &'d Place, annotation: Annotation<'d>) -> Snippet<'d, Annotation<'d>> {
    Snippet::source(&*place.source.text).path(place.source.name.to_string_lossy()).annotation(annotation)
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    let count = |number: usize, noun: &str| match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    };
    match (errors, warnings) {
        (0, 0) => String::new(),
        (_, 0) => count(errors, "error"),
        (0, _) => count(warnings, "warning"),
        _ => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}
