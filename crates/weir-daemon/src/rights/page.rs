//! The answer to a person as one page: HTML that needs nothing else, no script, no network, and is read aloud in order.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;
use weir_policy::{LawfulBasis, plain};

/// Writes the page.
pub(super) fn page(answer: &Value) -> String {
    let (tables, skipped) = (list(&answer["tables"]), list(&answer["skipped"]));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "What is kept about you" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "What is kept about you" }
                    p { "As of " (text(&answer["made_at"])) ", in the region " (text(&answer["region"])) "." }
                    @if !skipped.is_empty() {
                        p {
                            strong { "This is not everything." } " Nobody could look into " (text(&answer["skipped"]))
                            ". Ask again later."
                        }
                    } @else if tables.is_empty() {
                        p { "Nothing is kept under the names that you gave." }
                    }
                    @for table in tables { (section(table)) }
                }
            }
        }
    };
    page.into_string()
}

fn section(table: &Value) -> Markup {
    let (event, purpose) = (&table["event"], &table["purpose"]);
    let recipients: Vec<_> = list(&purpose["recipients"]).iter().map(text).collect();
    let entries = [
        ("What it is", text(&event["description"])),
        ("What it is for", text(&purpose["description"])),
        ("What you have of it", text(&event["benefit"])),
        ("Why it may be kept", basis(&purpose["lawful_basis"])),
        ("How long", retention(&purpose["retention_days"])),
        ("Who receives it", plain::recipients(&recipients)),
    ];
    let count = |name: &str| table[name].as_u64().unwrap_or_default();
    let (set_aside, mentions) = (count("set_aside"), count("mentions"));
    html! {
        section {
            h2 { (text(&table["table"])) }
            dl {
                @for (term, words) in entries.iter().filter(|(_, words)| !words.is_empty()) {
                    dt { (term) }
                    dd { (words) }
                }
            }
            @if set_aside > 0 {
                p {
                    (set_aside) " of these rows are set aside, as you asked: nobody who reads the table sees them."
                }
            }
            @if mentions > 0 {
                p {
                    (mentions) " more rows are about somebody else and mention you; they are not yours to see, and go when you "
                    "are erased."
                }
            }
            (rows(table))
        }
    }
}

fn rows(table: &Value) -> Markup {
    let (columns, rows) = (list(&table["columns"]), list(&table["rows"]));
    if rows.is_empty() {
        return html! {};
    }
    let caption = if rows.len() > ROWS_MAX {
        format!("The first {ROWS_MAX} of {} rows; all are in data.json", rows.len())
    } else {
        format!("All {} rows", rows.len())
    };
    html! {
        table {
            caption { "What the columns mean" }
            tbody {
                @for column in columns {
                    tr { th scope="row" { (text(&column["name"])) } td { (text(&column["meaning"])) } }
                }
            }
        }
        div .wide tabindex="0" role="region" aria-label="Rows" {
            table {
                caption { (caption) }
                thead { tr { @for column in columns { th scope="col" { (text(&column["name"])) } } } }
                tbody {
                    @for row in rows.iter().take(ROWS_MAX) {
                        tr {
                            @for column in columns { td { (text(&row[column["name"].as_str().unwrap_or_default()])) } }
                        }
                    }
                }
            }
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn basis(word: &Value) -> String {
    let known = word.as_str().and_then(LawfulBasis::parse);
    known.map_or_else(|| text(word), |basis| plain::basis(basis).to_owned())
}

fn retention(days: &Value) -> String {
    let known = days.as_u64().and_then(|days| u32::try_from(days).ok());
    known.map_or_else(|| text(days), plain::retention)
}

/// Writes a value in words; the page makes sure that it is no markup, whatever a person or a tenant is called.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;margin:0}\
main{max-width:72rem;margin:auto;padding:1rem}section{border-top:1px solid #767676;margin-top:2rem}\
dt{font-weight:bold}dd{margin:0 0 .5rem}.wide{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0}\
caption{text-align:left;font-weight:bold}th,td{border:1px solid #767676;padding:.25rem .5rem;text-align:left}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#111}}";
/// Rows that a page shows: more are slow to draw and nobody reads them.
const ROWS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A tenant may be called anything; it must stay text.
    #[test]
    fn what_rows_hold_is_no_markup() {
        let answer = json!({"made_at": "now", "region": "<eu>", "skipped": ["reliability/b"], "tables": [{
            "table": "reliability/a", "event": {"description": "<script>1</script>", "benefit": "b"},
            "purpose": {"description": "d", "lawful_basis": "consent", "retention_days": 30, "recipients": ["R&D"]},
            "columns": [{"name": "tenant", "meaning": "\"t\""}], "mentions": 2, "set_aside": 1, "rows": [{"tenant": "<img onerror='x'>"}]}]});
        let page = page(&answer);
        for markup in ["<script", "<img", "<eu>", "R&D"] {
            assert!(!page.contains(markup), "{markup}");
        }
        for words in [
            "&lt;img onerror='x'&gt;",
            "R&amp;D",
            "2 more rows",
            "1 of these rows are set aside",
            "You agreed to it",
            "not everything",
        ] {
            assert!(page.contains(words), "{words}");
        }
    }
}
