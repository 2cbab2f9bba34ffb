//! The configurations of the other programs, each written from the same plan.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::plan::{Kind, LETTERS, Plan, PlannedField, TIME_CHARS};

/// Writes every program's configuration below `folder`, where the events are too.
///
/// # Errors
/// When the folder cannot be written.
pub(super) fn write(plan: &Plan, folder: &Path) -> Result<()> {
    for (name, text) in [
        ("project.vrl", vrl(plan)?),
        ("filter.yaml", bento(plan, folder, "events", "{ drop: {} }")),
        ("nothing.yaml", bento(plan, folder, "nothing", "{ drop: {} }")),
        ("rows.yaml", bento(plan, folder, "events", &bento_file(folder))),
        ("statements.txt", ottl(plan)?),
        ("allowed.txt", ottl_allowed(plan)),
        ("duckdb.sql", duckdb(plan, folder)?),
        ("polars.json", polars(plan)),
    ] {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// What tests the bit of a purpose in the number of who agreed to what, in languages without bit operators.
fn has_bit(number: &str, purpose: usize, modulo: impl Fn(&str, u32) -> String) -> String {
    match purpose {
        0 => format!("{} == 1", modulo(number, 2)),
        1 => format!("{} >= 2", modulo(number, 4)),
        _ => format!("{number} >= 4"),
    }
}

fn of_purpose(fields: &[PlannedField], purpose: usize) -> impl Iterator<Item = &PlannedField> {
    fields.iter().filter(move |field| field.purposes[purpose])
}

fn vrl(plan: &Plan) -> Result<String> {
    let mut out = "out = {}\nm = int!(%mask)\n".to_owned();
    for letter in LETTERS {
        writeln!(out, "key_{letter} = \"key-{letter}-\" + string!(.tenant)")?;
    }
    for (place, planned) in plan.types.iter().enumerate() {
        let word = if place == 0 { "if" } else { "} else if" };
        writeln!(out, "{word} .type == \"{}\" {{", planned.name)?;
        for (purpose, letter) in LETTERS.into_iter().enumerate() {
            let condition = has_bit("m", purpose, |number, by| format!("mod({number}, {by})"));
            writeln!(out, "  if {condition} {{\n    out.{letter} = {{")?;
            let of_purpose: Vec<_> = of_purpose(&planned.fields, purpose).collect();
            for field in &of_purpose {
                let path = format!(".{}", field.path.join("."));
                let value = match field.kind {
                    Kind::Bool => format!("bool({path}) ?? null"),
                    Kind::Float => format!("float({path}) ?? null"),
                    // An object takes no condition.
                    Kind::Identifier => continue,
                    Kind::Ip => format!("ip_subnet({path}, \"/24\") ?? null"),
                    Kind::Text => format!("string({path}) ?? null"),
                    Kind::Time => format!("slice({path}, 0, {}) ?? null", TIME_CHARS[purpose]),
                    Kind::Whole => format!("int({path}) ?? null"),
                };
                writeln!(out, "      \"{}\": {value},", field.column)?;
            }
            writeln!(out, "    }}")?;
            for field in of_purpose.iter().filter(|field| field.kind == Kind::Identifier) {
                let (path, column) = (format!(".{}", field.path.join(".")), &field.column);
                writeln!(
                    out,
                    "    if is_string({path}) {{ out.{letter}.{column} = encode_base16(hmac(string!({path}), key_{letter})) }}"
                )?;
            }
            writeln!(out, "  }}")?;
        }
    }
    out += "}\n. = out\n";
    Ok(out)
}

fn bento(plan: &Plan, folder: &Path, events: &str, output: &str) -> String {
    let mut map = vec![
        "let e = content().parse_json()".to_owned(),
        "let s = $e.data.user.id.string().catch(\"\")".to_owned(),
        "let m = if $e.tenant.type() == \"string\" { consent($e.tenant, $s) } else { 0 }".to_owned(),
        "let k = \"key-\" + $e.tenant.or(\"\") + \"-\"".to_owned(),
        "root = if $m == 0 { deleted() } else { match $e.type {".to_owned(),
    ];
    for planned in &plan.types {
        map.push(format!("  \"{}\" => [", planned.name));
        for (purpose, letter) in LETTERS.into_iter().enumerate() {
            let condition = has_bit("$m", purpose, |number, by| format!("{number} % {by}"));
            let mut members = vec![format!("\"purpose\": \"{letter}\", \"type\": \"{}\"", planned.name)];
            for field in of_purpose(&planned.fields, purpose) {
                members.push(format!("\"{}\": {}", field.column, bento_value(field, purpose)));
            }
            map.push(format!("    if {condition} {{ {{ {} }} }} else {{ null }},", members.join(", ")));
        }
        map.push("  ].filter(x -> x != null),".to_owned());
    }
    map.extend(["  _ => deleted()".to_owned(), "} }".to_owned()]);
    let map = map.join("\n        ");
    format!(
        "http: {{ enabled: false }}\nlogger: {{ level: OFF }}\ninput:\n  file: {{ paths: [ {}/{events}.ndjson ], scanner: {{ lines: {{ max_buffer_size: 1000000 }} }} }}\n\
         buffer: {{ memory: {{ limit: 104857600, batch_policy: {{ enabled: true, count: 5000 }} }} }}\n\
         pipeline:\n  threads: 1\n  processors:\n    - mapping: |\n        {map}\n    - mapping: 'root = if errored() {{ deleted() }} else {{ this }}'\noutput: {output}\n",
        folder.display()
    )
}

fn bento_file(folder: &Path) -> String {
    format!("{{ file: {{ path: '{}/bento.ndjson', codec: lines }} }}", folder.display())
}

fn bento_value(field: &PlannedField, purpose: usize) -> String {
    let path = format!("$e.{}", field.path.join("."));
    match field.kind {
        Kind::Bool => format!("{path}.bool().catch(null)"),
        Kind::Float => format!("{path}.float64().catch(null)"),
        Kind::Identifier => {
            format!(
                "{path}.hash(\"hmac_sha256\", $k + \"{}\").slice(0, 16).encode(\"hex\").catch(null)",
                LETTERS[purpose]
            )
        }
        Kind::Ip => format!("{path}.re_replace_all(\"\\\\.[0-9]+$\", \".0\").catch(null)"),
        Kind::Text => format!("{path}.(if this.type() == \"string\" {{ this }} else {{ null }})"),
        Kind::Time => format!("{path}.slice(0, {}).catch(null)", TIME_CHARS[purpose]),
        Kind::Whole => format!("{path}.int64().catch(null)"),
    }
}

/// One purpose, for everybody: OTTL has no look-up, no keyed hash, and one output for an input.
fn ottl(plan: &Plan) -> Result<String> {
    let mut out = "set(log.cache[\"e\"], ParseJSON(log.body))\nset(log.body, \"\")\n".to_owned();
    for field in of_purpose(&plan.all_fields(), 0) {
        let from = format!("log.cache[\"e\"][\"{}\"]", field.path.join("\"][\""));
        let to = format!("log.attributes[\"{}\"]", field.column);
        match field.kind {
            Kind::Identifier => {
                writeln!(out, "set({to}, SHA256(Concat([\"key-T-\", {from}], \"\"))) where {from} != nil")?;
            }
            Kind::Ip => {
                writeln!(out, "set({to}, {from}) where {from} != nil\nreplace_pattern({to}, \"[.][0-9]+$\", \".0\")")?;
            }
            Kind::Time => writeln!(out, "set({to}, Substring({from}, 0, {})) where {from} != nil", TIME_CHARS[0])?,
            Kind::Bool | Kind::Float | Kind::Text | Kind::Whole => {
                writeln!(out, "set({to}, {from}) where {from} != nil")?;
            }
        }
    }
    Ok(out)
}

fn ottl_allowed(plan: &Plan) -> String {
    of_purpose(&plan.all_fields(), 0).map(|field| field.column.as_str()).collect::<Vec<_>>().join("\n")
}

fn duckdb(plan: &Plan, folder: &Path) -> Result<String> {
    let fields = plan.all_fields();
    let data = Tree::of(&fields);
    let columns: Vec<_> = data.members.iter().map(|(name, of)| format!("'{name}': '{}'", of.duckdb())).collect();
    let types: Vec<_> = plan.types.iter().map(|planned| format!("'{}'", planned.name)).collect();
    let folder = folder.display();
    let mut out = format!(
        "SET threads=1; SET preserve_insertion_order=false;\n\
         CREATE TEMP TABLE consent AS SELECT * FROM read_csv('{folder}/consent.csv', columns={{'tenant':'VARCHAR','subject':'VARCHAR','mask':'INT'}});\n\
         --timed\n\
         CREATE TEMP TABLE ev AS SELECT e.*, c.mask FROM read_json('{folder}/events.ndjson', format='newline_delimited', ignore_errors=true, columns={{'type': 'VARCHAR', {}}}) e \
         JOIN consent c ON e.tenant = c.tenant AND e.data.\"user\".id = c.subject WHERE type IN ({});\n",
        columns.join(", "),
        types.join(", ")
    );
    for (purpose, letter) in LETTERS.into_iter().enumerate() {
        let picked: Vec<_> = of_purpose(&fields, purpose).map(|field| duckdb_value(field, purpose)).collect();
        writeln!(
            out,
            "COPY (SELECT type, {} FROM ev e WHERE mask & {} != 0) TO '{folder}/duckdb_{letter}.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1);",
            picked.join(", "),
            1 << purpose
        )?;
    }
    Ok(out)
}

fn duckdb_value(field: &PlannedField, purpose: usize) -> String {
    let path: Vec<_> = field.path.iter().map(|segment| format!("\"{segment}\"")).collect();
    let path = format!("e.{}", path.join("."));
    let value = match field.kind {
        Kind::Identifier => format!("substr(sha256('key-{}-' || tenant || {path}), 1, 32)", LETTERS[purpose]),
        Kind::Ip => format!("regexp_replace({path}, '[.][0-9]+$', '.0')"),
        Kind::Time => format!("substr({path}, 1, {})", TIME_CHARS[purpose]),
        Kind::Bool | Kind::Float | Kind::Text | Kind::Whole => path,
    };
    format!("{value} AS \"{}\"", field.column)
}

/// The plan as JSON; the program for Polars is written in Python.
fn polars(plan: &Plan) -> String {
    let fields: Vec<_> = plan
        .all_fields()
        .into_iter()
        .map(|field| {
            let kind = match field.kind {
                Kind::Bool => "bool",
                Kind::Float => "float",
                Kind::Identifier => "id",
                Kind::Ip => "ip",
                Kind::Text => "text",
                Kind::Time => "time",
                Kind::Whole => "int",
            };
            serde_json::json!({"path": field.path, "column": field.column, "kind": kind, "purposes": field.purposes})
        })
        .collect();
    let types: Vec<_> = plan.types.iter().map(|planned| planned.name.as_str()).collect();
    serde_json::json!({"fields": fields, "types": types, "time_chars": TIME_CHARS}).to_string()
}

/// The structure of all events together.
#[derive(Default)]
struct Tree<'p> {
    kind: Option<Kind>,
    members: Vec<(&'p str, Tree<'p>)>,
}

impl<'p> Tree<'p> {
    fn of(fields: &'p [PlannedField]) -> Self {
        let mut root = Self::default();
        for field in fields {
            let mut node = &mut root;
            for segment in &field.path {
                let place = node.members.iter().position(|(name, _)| name == segment).unwrap_or_else(|| {
                    node.members.push((segment, Self::default()));
                    node.members.len() - 1
                });
                node = &mut node.members[place].1;
            }
            node.kind = Some(field.kind);
        }
        root
    }

    fn duckdb(&self) -> String {
        match self.kind {
            Some(Kind::Bool) => "BOOLEAN".to_owned(),
            Some(Kind::Float) => "DOUBLE".to_owned(),
            Some(Kind::Whole) => "BIGINT".to_owned(),
            Some(Kind::Identifier | Kind::Ip | Kind::Text | Kind::Time) => "VARCHAR".to_owned(),
            None => {
                let members: Vec<_> =
                    self.members.iter().map(|(name, of)| format!("\"{name}\" {}", of.duckdb())).collect();
                format!("STRUCT({})", members.join(", "))
            }
        }
    }
}
